use core::fmt;

use alloy_primitives::{Address, ChainId, address};

use super::{DeploymentError, DeploymentFile};

const MAINNET: ChainId = 1;
const HOLESKY: ChainId = 17_000;

/// Mainnet block of the Dencun upgrade, of 2024-03-13. The first MACH AVS came weeks later.
const DENCUN: u64 = 19_426_587;
/// A mainnet block of 2024-06-01.
const JUNE_2024: u64 = 20_000_000;
/// A mainnet block of 2025-03-31, hours before the contracts of Soneium (22,165,487 initialises them).
const MARCH_2025: u64 = 22_160_000;

/// A MACH AVS that AltLayer deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownDeployment {
    /// What it is called, together with the chain.
    pub name: &'static str,
    /// EIP-155 id of the chain.
    pub l1_chain_id: ChainId,
    /// Rollups that its statements are about.
    pub rollup_chain_ids: &'static [ChainId],
    /// Whether it is still in use.
    pub status: Status,
    l1_block: u64,
    service_manager: Address,
    registry_coordinator: Address,
    operator_state_retriever: Address,
    registries: Option<Registries>,
    service_manager_registry: Option<Address>,
}

/// Whether a deployment is still in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not declared to be over.
    Active,
    /// Declared to be over: operators may only want to opt out.
    Deprecated,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Deprecated => "deprecated",
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registries {
    apk: Option<Address>,
    index: Option<Address>,
    stake: Address,
    proxy_admin: Address,
    pausers: Address,
}

impl KnownDeployment {
    /// All of them.
    pub const ALL: &'static [Self] = &KNOWN;

    /// The deployment with this name, on this chain if it is on several.
    ///
    /// Errors: [`DeploymentError`] says which names or chains there are.
    pub fn find(
        name: &str,
        l1_chain_id: Option<ChainId>,
    ) -> Result<&'static Self, DeploymentError> {
        let named: Vec<_> = Self::ALL
            .iter()
            .filter(|known| known.name.eq_ignore_ascii_case(name))
            .collect();
        if named.is_empty() {
            let mut names: Vec<_> = Self::ALL.iter().map(|known| known.name).collect();
            names.dedup();
            return Err(DeploymentError::UnknownName {
                name: name.to_owned(),
                known: names.join(", "),
            });
        }
        let chains = || {
            let chains: Vec<_> = named.iter().map(|it| it.l1_chain_id.to_string()).collect();
            chains.join(", ")
        };
        match (l1_chain_id, named.as_slice()) {
            (None, [only]) => Ok(only),
            (None, _) => Err(DeploymentError::Ambiguous {
                name: name.to_owned(),
                known: chains(),
            }),
            (Some(chain_id), _) => named
                .iter()
                .find(|known| known.l1_chain_id == chain_id)
                .copied()
                .ok_or_else(|| DeploymentError::NotOnChain {
                    name: name.to_owned(),
                    chain_id,
                    known: chains(),
                }),
        }
    }

    /// The service manager's proxy.
    pub const fn service_manager(&self) -> Address {
        self.service_manager
    }

    /// `MachServiceManagerRegistry` of the chain, which says whether a rollup has alerts.
    pub const fn service_manager_registry(&self) -> Option<Address> {
        self.service_manager_registry
    }

    /// The deployment file; its [`resolve`](DeploymentFile::resolve) asks the chain for the rest.
    pub fn file(&self) -> DeploymentFile {
        let registries = self.registries;
        DeploymentFile {
            l1_chain_id: Some(self.l1_chain_id),
            l1_block: Some(self.l1_block),
            service_manager: Some(self.service_manager),
            stake_registry: registries.map(|it| it.stake),
            apk_registry: registries.and_then(|it| it.apk),
            index_registry: registries.and_then(|it| it.index),
            pauser_registry: registries.map(|it| it.pausers),
            proxy_admin: registries.map(|it| it.proxy_admin),
            ..DeploymentFile::new(self.registry_coordinator, self.operator_state_retriever)
        }
    }
}

/// Contracts of EigenLayer's core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EigenLayer {
    /// EIP-155 id of the chain.
    pub l1_chain_id: ChainId,
    /// Where operators of M2 consent to an AVS.
    pub avs_directory: Address,
    /// Who is an operator, and who delegates to whom.
    pub delegation_manager: Address,
    /// Where tokens are deposited.
    pub strategy_manager: Address,
    /// Where operators register for operator sets.
    pub allocation_manager: Address,
}

impl EigenLayer {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self {
            l1_chain_id: MAINNET,
            avs_directory: address!("135DDa560e946695d6f155dACaFC6f1F25C1F5AF"),
            delegation_manager: address!("39053D51B77DC0d36036Fc1fCc8Cb819df8Ef37A"),
            strategy_manager: address!("858646372CC42E1A627fcE94aa7A7033e7CF075A"),
            allocation_manager: address!("948a420b8CC1d6BFd0B6087C2E7c344a2CD0bc39"),
        },
        Self {
            l1_chain_id: HOLESKY,
            avs_directory: address!("055733000064333CaDDbC92763c58BF0192fFeBf"),
            delegation_manager: address!("A44151489861Fe9e3055d95adC98FbD462B948e7"),
            strategy_manager: address!("dfB5f6CE42aAA7830E94ECFCcAd411beF4d4D5b6"),
            allocation_manager: address!("78469728304326CBc65f8f95FA756B0B73164462"),
        },
    ];

    /// The core on a chain, if it is known.
    pub fn on(l1_chain_id: ChainId) -> Option<&'static Self> {
        Self::ALL
            .iter()
            .find(|core| core.l1_chain_id == l1_chain_id)
    }
}

const MAINNET_REGISTRY: Address = address!("289dbe6573d6a1daf00110b5b1b2d8f0a34099c2");
const HOLESKY_REGISTRY: Address = address!("5c36928d11d7a39641ed520d2213afc9ec806d71");

// From the deployment tables of the MACH AVS contracts; Soneium's from the record of its deployment.
const KNOWN: [KnownDeployment; 8] = [
    KnownDeployment {
        name: "altlayer",
        l1_chain_id: MAINNET,
        rollup_chain_ids: &[10, 42161],
        status: Status::Active,
        l1_block: DENCUN,
        service_manager: address!("71a77037870169d47aad6c2C9360861A4C0df2bF"),
        registry_coordinator: address!("561be1AB42170a19f31645F774e6e3862B2139AA"),
        operator_state_retriever: address!("8Ad765474f86FFb0A742041427383b524192b71f"),
        registries: Some(Registries {
            apk: Some(address!("F9f34Bc6309A52c266881066e8c58fbF562D442c")),
            index: Some(address!("1BE83d6CE83bC516630afE535F36652A1511779B")),
            stake: address!("49296A7D4a76888370CB377CD909Cc73a2f71289"),
            proxy_admin: address!("ba9aC2c9d1Fc2Ba22f3709EC073757777447bb5B"),
            pausers: address!("cCC62915256c7137aaD62d5E4385fc737264D2B1"),
        }),
        service_manager_registry: Some(MAINNET_REGISTRY),
    },
    KnownDeployment {
        name: "altlayer",
        l1_chain_id: HOLESKY,
        rollup_chain_ids: &[11_155_420, 421_614],
        status: Status::Deprecated,
        l1_block: 0,
        service_manager: address!("AE9a4497dee2540DaF489BeddB0706128a99ec63"),
        registry_coordinator: address!("1eA7D160d325B289bF981e0D7aB6Bf3261a0FFf2"),
        operator_state_retriever: address!("BE1c904525910fdB49dB33b4960DF9aC9f603dC7"),
        registries: Some(Registries {
            apk: Some(address!("2e9267bAbAdD516471c884D41ED1A1c1D01aeDf3")),
            index: Some(address!("6b715bFFf9A6bbD1Eb745B55df8cEd592CbcbB50")),
            stake: address!("0b3eE1aDc2944DCcBb817f7d77915C7d38F7B858"),
            proxy_admin: address!("2AB98471C25061C11431EA72F92215DC1d918C64"),
            pausers: address!("709510e198967ff878041C56866beB43C4196862"),
        }),
        service_manager_registry: Some(HOLESKY_REGISTRY),
    },
    KnownDeployment {
        name: "xterio",
        l1_chain_id: MAINNET,
        rollup_chain_ids: &[112_358],
        status: Status::Deprecated,
        l1_block: DENCUN,
        service_manager: address!("6026b61bDD2252160691CB3F6005B6B72E0Ec044"),
        registry_coordinator: address!("6e32dD4169825337B54236b9355910b83E51e5a8"),
        operator_state_retriever: address!("342D475f3ae36e0CFBF19c222f203048446955b6"),
        registries: Some(Registries {
            apk: Some(address!("F8388C2D74fAde1C8367Cb9E419e395dB4c5FA75")),
            index: Some(address!("15637782bdcdf9FC282EE592d333c63C1d6D2536")),
            stake: address!("681b76916fdecc07705b91e032D435f03B678C76"),
            proxy_admin: address!("185416d7B186d2D9474c9877eaf1C28dD0d7FB43"),
            pausers: address!("895Dd27289096722c389Cb3fd99aF2750190a48a"),
        }),
        service_manager_registry: Some(MAINNET_REGISTRY),
    },
    KnownDeployment {
        name: "xterio",
        l1_chain_id: HOLESKY,
        rollup_chain_ids: &[1_637_450],
        status: Status::Deprecated,
        l1_block: 0,
        service_manager: address!("648e5012D7B30755963755F7dd7Ff03e2F61bF8B"),
        registry_coordinator: address!("C452d0BcEE841EEd2AEe687495558e7a3C6010BE"),
        operator_state_retriever: address!("222B52694Ab22AFc155B573baF52C1ed9a26b3f1"),
        registries: Some(Registries {
            apk: Some(address!("E0268135fC9202a71810a631CC90266c97AFC156")),
            index: Some(address!("e6437C48B45f4333871C2D99ecaB6751f465F1b6")),
            stake: address!("6628b0Cc07a6fdB84d660DeF0E74F3C21D78C290"),
            proxy_admin: address!("eBaE2a37884e7aeC83c0e69A146e4920c6aAE6Dc"),
            pausers: address!("4eFbD4288119436F91aF2BA199809e82444A4966"),
        }),
        service_manager_registry: Some(HOLESKY_REGISTRY),
    },
    KnownDeployment {
        name: "dodochain",
        l1_chain_id: MAINNET,
        rollup_chain_ids: &[53_457],
        status: Status::Deprecated,
        l1_block: DENCUN,
        service_manager: address!("d50E0931703302B080880C45148F5D83ea66aE2a"),
        registry_coordinator: address!("Ca7f0a65f82230691580F41876161E6282460F29"),
        operator_state_retriever: address!("1d6F6af4464BDb3f2977d4A3EFC29A60d362D20B"),
        registries: Some(Registries {
            apk: Some(address!("69Ad83345f2AA1D95DC5f2539756e1858b6e8C57")),
            index: Some(address!("ae60938bba94605DC759708A56Fbf99E8Bd9A3Dd")),
            stake: address!("C4b21787131bCA9898e1B52EE6F6F23B126698D8"),
            proxy_admin: address!("25f8f07D6fdB1B4799169c983624708E33A96571"),
            pausers: address!("201FD6D35580b6e35e4009965C39E55ba1a5E35B"),
        }),
        service_manager_registry: Some(MAINNET_REGISTRY),
    },
    KnownDeployment {
        name: "cyber",
        l1_chain_id: MAINNET,
        rollup_chain_ids: &[7560],
        status: Status::Active,
        l1_block: DENCUN,
        service_manager: address!("1F2c296448f692af840843d993fFC0546619Dcdb"),
        registry_coordinator: address!("118610D207A32f10F4f7C3a1FEFac5b3327c2bad"),
        operator_state_retriever: address!("D74D895d3fcC7cDb0E48D3bD0eFF613D1f513d82"),
        registries: Some(Registries {
            apk: Some(address!("3C50ed3802fd033cFC2b48127aC92E7f44b57f54")),
            index: Some(address!("eEE55E8f3d25d8f998ae365a8D6b121E37d5c01f")),
            stake: address!("52e5d46AdbfCf925d9aBA79D21be70e3098fD70f"),
            proxy_admin: address!("4d6880586B12A97A63926A277b1b795296E05678"),
            pausers: address!("FAd89a10cF7b870239f5259631D859c963B6C17a"),
        }),
        service_manager_registry: Some(MAINNET_REGISTRY),
    },
    KnownDeployment {
        name: "gm-network",
        l1_chain_id: MAINNET,
        rollup_chain_ids: &[2777],
        status: Status::Deprecated,
        l1_block: JUNE_2024,
        service_manager: address!("b3AcAF09a1B801E36655B786da4EAA6aE9F5DC37"),
        registry_coordinator: address!("Dc7e13f1A2Bd0346D741E932CaA341AB6EC21e92"),
        operator_state_retriever: address!("CACc7483f5268366EDf9Cb7e9d6eE2fd47Bc3ff9"),
        registries: Some(Registries {
            apk: Some(address!("6A699E05d9a8BC9109EA149a9c6C015A92e7d13B")),
            index: Some(address!("C924cC3184C968eb9F6cf4bDB3aC18Df431a00cC")),
            stake: address!("Bd334A295816C03cbD466F64483389Aba7ABF70f"),
            proxy_admin: address!("edcB095d4f59A3f4f3a605f758Df188a175390cB"),
            pausers: address!("4FE15c4eAa1ab01742b28dabC69f28319f8bAc40"),
        }),
        service_manager_registry: Some(MAINNET_REGISTRY),
    },
    KnownDeployment {
        name: "soneium",
        l1_chain_id: MAINNET,
        rollup_chain_ids: &[1868],
        status: Status::Active,
        l1_block: MARCH_2025,
        service_manager: address!("203b9Acb40DfBB911f1e39C784EAB639418dae04"),
        registry_coordinator: address!("2c23CF71C023CBA700E379c8E73f040c70211D67"),
        operator_state_retriever: address!("6c07bE0A687F0261BB8Bc6dC76c596E9b09Ec7Aa"),
        registries: Some(Registries {
            apk: None,
            index: None,
            stake: address!("cd923efcac76b82686f9729356bc9d88080666a8"),
            proxy_admin: address!("35a6c67f8a8f812bbc55d1c96e7ae4368d41d0e4"),
            pausers: address!("e93ad70df0a3159a2e08b4f38bdfea5532cbb7f7"),
        }),
        service_manager_registry: Some(MAINNET_REGISTRY),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_chain_make_a_deployment() {
        let soneium = KnownDeployment::find("soneium", None).unwrap();
        assert_eq!(soneium.rollup_chain_ids, [1868]);
        let holesky = KnownDeployment::find("AltLayer", Some(HOLESKY)).unwrap();
        assert_eq!(holesky.status, Status::Deprecated);
        for known in KnownDeployment::ALL {
            let found = KnownDeployment::find(known.name, Some(known.l1_chain_id)).unwrap();
            assert_eq!(found, known);
            let file = known.file();
            assert_eq!(
                DeploymentFile::parse(file.to_json().as_bytes()).unwrap(),
                file
            );
        }
    }

    #[test]
    fn what_there_is_stands_in_the_error() {
        let cases = [
            (
                KnownDeployment::find("optimism", None),
                "there is no deployment `optimism`; there are altlayer, xterio, dodochain, cyber, gm-network, soneium",
            ),
            (
                KnownDeployment::find("xterio", None),
                "the deployment `xterio` is on several chains: say which of 1, 17000",
            ),
            (
                KnownDeployment::find("cyber", Some(17_000)),
                "the deployment `cyber` is not on chain 17000; it is on 1",
            ),
        ];
        for (found, message) in cases {
            assert_eq!(found.unwrap_err().to_string(), message);
        }
    }

    /// Addresses are written with the checksum that their source gives them, so that a slip shows.
    #[test]
    fn addresses_are_as_in_their_source() {
        let source = include_str!("known.rs");
        let mut seen = 0;
        for literal in source.split("address!(\"").skip(1) {
            let Some((digits, _)) = literal.split_once('"') else {
                continue;
            };
            if digits.len() != 40 || !digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
                continue;
            }
            let address: Address = digits.parse().unwrap();
            assert_eq!(address.to_checksum(None), format!("0x{digits}"));
            seen += 1;
        }
        assert!(seen > 60, "{seen}");
    }
}
