//! Services of the devnet, each a process of its own, started as a person would start it.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use eyre::{ContextCompat, WrapErr, bail};
use mach_devnet::{
    DEV_ACCOUNTS,
    stack::{Stack, StackOperator},
};
use url::Url;

use super::folder::{Folder, PASSWORD_FILE};
use crate::{
    config::{Config, Endpoint, Rollup, Span, Start},
    init::{Role, document},
};

/// How long a service may take until it is reached.
const START: Duration = Duration::from_secs(60);
/// How long services may take to end.
const END: Duration = Duration::from_secs(20);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Account that the aggregator pays with.
const AGGREGATOR: usize = 8;

/// What a service listens on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) aggregator: u16,
    pub(super) api: u16,
    pub(super) breaker: u16,
}

/// The processes. They end when [`Self::stop`] is called, or when this is dropped.
pub(super) struct Processes {
    all: Vec<Process>,
    pub(super) aggregator_url: String,
    pub(super) api_url: String,
    pub(super) breaker_url: String,
}

struct Process {
    name: String,
    child: Child,
    /// How it is started again.
    command: String,
    has_ended: bool,
}

impl Processes {
    /// Writes a configuration file for each service and starts them.
    pub(super) fn start(stack: &Stack, folder: &Folder, ports: Ports) -> eyre::Result<Self> {
        folder.forget_services()?;
        let listen = address(ports.aggregator)?;
        let api = address(ports.api)?;
        let breaker = address(ports.breaker)?;
        let mut this = Self {
            all: Vec::new(),
            aggregator_url: format!("http://{listen}"),
            api_url: format!("http://{api}"),
            breaker_url: format!("http://{breaker}"),
        };
        let payer = DEV_ACCOUNTS.get(AGGREGATOR).wrap_err("there is a payer")?;
        folder.put_account("aggregator.ecdsa.json", payer)?;
        let mut config = common(stack, folder, "aggregator")?;
        config.aggregator.listen = listen;
        config.aggregator.ecdsa_key = Some(folder.file("aggregator.ecdsa.json"));
        config.aggregator.ecdsa_password_file = Some(folder.file(PASSWORD_FILE));
        config.api.listen = Some(api);
        // Its L1 has no reorganisations, and after an alert no blocks.
        config.api.settle_alerts = Some(0);
        config.metrics.aggregator = Some(address(0)?);
        let node_apis = (stack.operators().iter()).map(|_| address(0));
        let node_apis: Vec<_> = node_apis.collect::<Result<_, _>>()?;
        let verifier = address(0)?;
        for address in node_apis.iter().chain([&verifier]) {
            let url = endpoint(&format!("http://{address}"))?;
            config.api.verifiers.push(url);
        }
        this.launch(folder, "aggregator", Role::Aggregator, &config)?;
        this.wait_for("aggregator", listen)?;
        let operators = stack.operators().iter().zip(node_apis);
        for (index, (operator, node_api)) in operators.enumerate() {
            this.operator(stack, folder, index + 1, operator, node_api)?;
        }
        let mut config = common(stack, folder, "verifier")?;
        config.verifier.name = Some("verifier".to_owned());
        config.verifier.node_api = Some(verifier);
        config.metrics.verifier = Some(address(0)?);
        this.launch(folder, "verifier", Role::Verifier, &config)?;
        let mut config = common(stack, folder, "breaker")?;
        config.breaker.rollup = Some(stack.devnet().l2().chain_id());
        config.breaker.upstream = Some(endpoint(&folder.urls.l2)?);
        config.breaker.events = Some(endpoint(&this.api_url)?);
        config.breaker.listen = Some(breaker);
        this.launch(folder, "breaker", Role::Breaker, &config)?;
        this.wait_for("breaker", breaker)?;
        Ok(this)
    }

    fn operator(
        &mut self,
        stack: &Stack,
        folder: &Folder,
        number: usize,
        operator: &StackOperator,
        node_api: SocketAddr,
    ) -> eyre::Result<()> {
        let name = format!("operator-{number}");
        let key = format!("{name}.bls.json");
        folder.put_bls(&key, operator.secret_key()?)?;
        let mut config = common(stack, folder, &name)?;
        config.operator.name = name.clone();
        config.operator.bls_key = Some(folder.file(&key));
        config.operator.bls_password_file = Some(folder.file(PASSWORD_FILE));
        config.operator.aggregators = vec![endpoint(&self.aggregator_url)?];
        config.operator.node_api = Some(node_api);
        config.metrics.operator = Some(address(0)?);
        self.launch(folder, &name, Role::Operator, &config)
    }

    fn launch(
        &mut self,
        folder: &Folder,
        name: &str,
        role: Role,
        config: &Config,
    ) -> eyre::Result<()> {
        let file = format!("{name}.toml");
        folder.put(&file, &document(config, role))?;
        let path = folder.file(&file);
        let service: &[&str] = match role {
            Role::Aggregator => &["aggregator", "run"],
            Role::Breaker => &["breaker"],
            Role::Verifier => &["verifier", "run"],
            _ => &["operator", "run"],
        };
        let log = folder.log(name);
        let (out, errors) = (
            File::create(&log)?,
            File::options().append(true).open(&log)?,
        );
        let mut command = Command::new(std::env::current_exe()?);
        // What is set here is for the devnet itself.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MACH_") {
                command.env_remove(variable);
            }
        }
        let child = command
            .args(service)
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .wrap_err_with(|| format!("{name} does not start"))?;
        self.all.push(Process {
            name: name.to_owned(),
            child,
            command: format!(
                "mach-cli {} --config '{}'",
                service.join(" "),
                path.display()
            ),
            has_ended: false,
        });
        Ok(())
    }

    fn wait_for(&mut self, name: &str, address: SocketAddr) -> eyre::Result<()> {
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some((name, status)) = self.ended().into_iter().next() {
                bail!("{name} has ended with {status}: look into its log");
            }
            if started.elapsed() > START {
                bail!("{name} is not reached at {address}");
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Those that have ended since the last look.
    pub(super) fn ended(&mut self) -> Vec<(String, ExitStatus)> {
        let mut ended = Vec::new();
        for process in self.all.iter_mut().filter(|it| !it.has_ended) {
            if let Ok(Some(status)) = process.child.try_wait() {
                process.has_ended = true;
                ended.push((process.name.clone(), status));
            }
        }
        ended
    }

    /// Each process with its id and how it is started again.
    pub(super) fn told(&self) -> String {
        let lines = self.all.iter().map(|process| {
            format!(
                "    {:<12} {:>7}  {}\n",
                process.name,
                process.child.id(),
                process.command
            )
        });
        lines.collect()
    }

    /// How a process is started again.
    pub(super) fn command(&self, name: &str) -> Option<&str> {
        let process = self.all.iter().find(|process| process.name == name)?;
        Some(&process.command)
    }

    /// Ends them as a service manager does.
    pub(super) fn stop(&mut self) {
        for process in self.all.iter_mut().filter(|it| !it.has_ended) {
            terminate(&mut process.child);
        }
        let started = Instant::now();
        while self.all.iter().any(|it| !it.has_ended) && started.elapsed() < END {
            self.ended();
            std::thread::sleep(PAUSE);
        }
        for process in self.all.iter_mut().filter(|it| !it.has_ended) {
            let _ = process.child.kill();
            let _ = process.child.wait();
            process.has_ended = true;
        }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop();
    }
}

fn terminate(child: &mut Child) {
    if cfg!(unix) {
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        if sent.is_ok_and(|status| status.success()) {
            return;
        }
    }
    let _ = child.kill();
}

/// What all services are told.
fn common(stack: &Stack, folder: &Folder, name: &str) -> eyre::Result<Config> {
    let mut config = Config::default();
    config.l1.rpc = Some(endpoint(&folder.urls.contracts)?);
    config.l1.deployment = Some(folder.file("deployment.json").display().to_string());
    config.store.folder = folder.data().join(name);
    let l2 = endpoint(&folder.urls.l2)?;
    let mut rollup = Rollup::new(stack.devnet().l2().chain_id());
    rollup.rpc = vec![l2.clone()];
    rollup.op_node = Some(l2);
    rollup.rollup_config = Some(folder.file("rollup.json"));
    rollup.l1 = match &folder.urls.l1 {
        Some(l1) => vec![endpoint(l1)?],
        None => Vec::new(),
    };
    rollup.start = Start::At(1);
    rollup.attest_every = Some(std::num::NonZeroU64::MIN);
    rollup.evidence = folder.evidence();
    rollup.poll_interval = Span(Duration::from_millis(100));
    config.rollups.push(rollup);
    Ok(config)
}

fn endpoint(url: &str) -> eyre::Result<Endpoint> {
    Ok(Endpoint(Url::parse(url)?))
}

/// An address on this machine; port 0 takes one that is free, and stays the same over restarts.
fn address(port: u16) -> io::Result<SocketAddr> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if port != 0 {
        return Ok(address);
    }
    TcpListener::bind(address)?.local_addr()
}
