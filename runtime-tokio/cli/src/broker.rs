//! `rmq broker`: a name server and a broker for this machine, in memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rocketmq_dev_broker::DevBroker;

use crate::admin::Remote;
use crate::args::BrokerArgs;
use crate::error::CliError;
use crate::{output, stop};

/// Serves until the user stops it.
pub(crate) async fn run(args: BrokerArgs) -> Result<(), CliError> {
    let mut builder =
        DevBroker::builder().ip(args.listen).name_server_port(args.port).broker_port(args.broker_port);
    if let Some(ip) = args.advertise {
        builder = builder.advertised_ip(ip);
    }
    let broker = builder.start().map_err(|error| {
        CliError::Failed(format!(
            "can't listen on {} ports {} and {}: {error}; is another broker running? Choose others with --port \
             and --broker-port, 0 for free ones",
            args.listen, args.port, args.broker_port
        ))
    })?;
    if !args.topics.is_empty() {
        let address = SocketAddr::new(reachable(args.listen), broker.broker_addr(0).port());
        let mut remote = Remote::connect(&address.to_string()).await?;
        for (topic, queues) in &args.topics {
            remote.create_topic(topic, *queues).await?;
        }
    }
    output::line(&format!("name server {}, broker {}; Ctrl-C ends", broker.addr(), broker.broker_addr(0)))?;
    output::line(&format!("export {}={}", crate::args::NAMESRV_VARIABLE, broker.addr()))?;
    stop::asked().await?;
    Ok(())
}

/// The address by which this machine reaches what listens on `ip`.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
