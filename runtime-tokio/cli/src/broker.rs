//! `rmq broker`: name servers and brokers for this machine, in memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rocketmq_dev_broker::DevBroker;

use crate::args::BrokerArgs;
use crate::error::CliError;
use crate::{output, stop};

/// Serves until the user stops it.
pub(crate) async fn run(args: BrokerArgs) -> Result<(), CliError> {
    let mut builder = DevBroker::builder()
        .ip(args.listen)
        .name_server_port(args.port)
        .name_server_count(args.name_servers.into())
        .broker_port(args.broker_port)
        .broker_count(args.brokers.into());
    if let Some(ip) = args.advertise {
        builder = builder.advertised_ip(ip);
    }
    for (topic, queues) in &args.topics {
        builder = builder.topic(topic, *queues);
    }
    let broker = builder.start().map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidInput => CliError::Failed(error.to_string()),
        _ => CliError::Failed(format!(
            "can't listen on {} ports from {} and {} on: {error}; is another broker running? Choose others with \
             --port and --broker-port, 0 for free ones",
            args.listen, args.port, args.broker_port
        )),
    })?;
    let ip = args.advertise.unwrap_or(reachable(args.listen));
    let name_servers = join(broker.name_server_addrs().iter().map(|addr| SocketAddr::new(ip, addr.port())));
    let brokers = join((0..broker.broker_count()).map(|index| broker.broker_addr(index)));
    output::line(&format!("name server {name_servers}, broker {brokers}; Ctrl-C ends"))?;
    // Quoted where a shell would end the command at the separator.
    let quote = if args.name_servers > 1 { "'" } else { "" };
    output::line(&format!("export {}={quote}{name_servers}{quote}", crate::args::NAMESRV_VARIABLE))?;
    stop::asked().await?;
    Ok(())
}

/// Addresses as clients are configured with them.
fn join(addrs: impl Iterator<Item = SocketAddr>) -> String {
    addrs.map(|addr| addr.to_string()).collect::<Vec<_>>().join(";")
}

/// The address by which this machine reaches what listens on `ip`.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}
