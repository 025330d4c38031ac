//! `rmq broker`: a name server and a broker for this machine, in memory.

use rocketmq_dev_broker::DevBroker;

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
    output::line(&format!("name server {}, broker {}; Ctrl-C ends", broker.addr(), broker.broker_addr(0)))?;
    output::line(&format!("export {}={}", crate::args::NAMESRV_VARIABLE, broker.addr()))?;
    stop::asked().await?;
    Ok(())
}
