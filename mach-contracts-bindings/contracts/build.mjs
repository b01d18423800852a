// Compiles every deployable contract with the pinned npm `solc` and writes one artifact each: those of mach to
// ../artifacts, those of the devnet's rollup to mach-devnet/artifacts.
//
//   node build.mjs           write the artifacts
//   node build.mjs --check   recompile and compare with the committed artifacts; exit 1 on any difference
//   node build.mjs --sizes   also print the deployed size of each contract

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const here = dirname(fileURLToPath(import.meta.url));
const repository = join(here, "..", "..");

// Folder of the artifacts -> contract name -> the file that defines it.
const packages = {
  "mach-contracts-bindings/artifacts": {
    AttestedOutputs: "src/examples/AttestedOutputs.sol",
    MachBls12381Verifier: "src/MachBls12381Verifier.sol",
    MachRegistry: "src/MachRegistry.sol",
    MachServiceManager: "src/MachServiceManager.sol",
    MachServiceManagerRegistry: "src/MachServiceManagerRegistry.sol",
    MachZkServiceManager: "src/zk/MachZkServiceManager.sol",
    OpenVmVerifierAdapter: "src/zk/adapters/OpenVmVerifierAdapter.sol",
    OperatorStateRetriever: "src/OperatorStateRetriever.sol",
    PauserRegistry: "src/PauserRegistry.sol",
    RiscZeroVerifierAdapter: "src/zk/adapters/RiscZeroVerifierAdapter.sol",
    Sp1VerifierAdapter: "src/zk/adapters/Sp1VerifierAdapter.sol",
    TransparentUpgradeableProxy: "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol",
    ZkEvidence: "src/zk/ZkEvidence.sol",
  },
  "mach-devnet/artifacts": {
    DisputeGameFactory: "mach-devnet/contracts/DisputeGameFactory.sol",
    L2OutputOracle: "mach-devnet/contracts/L2OutputOracle.sol",
    OptimismPortal: "mach-devnet/contracts/OptimismPortal.sol",
    SystemConfig: "mach-devnet/contracts/SystemConfig.sol",
  },
};

const settings = {
  optimizer: { enabled: true, runs: 200 },
  // The service manager fits into the code limit only this way.
  viaIR: true,
  evmVersion: "cancun",
  // Without the metadata hash the bytecode depends on the code alone, not on comments or paths.
  metadata: { bytecodeHash: "none" },
};
const codeLimit = 24_576; // EIP-170

// Where a source is: ours beside this script, those of the devnet in the repository, libraries where npm puts them.
function locate(path) {
  const places = [join(here, path), join(repository, path), join(here, "node_modules", path)];
  return places.find(existsSync) ?? path;
}

function solidityFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return solidityFiles(path);
    return entry.name.endsWith(".sol") ? [relative(here, path).split(sep).join("/")] : [];
  });
}

function read(path) {
  return readFileSync(locate(path), "utf8").replaceAll("\r\n", "\n");
}

function compile() {
  const roots = [...new Set([...solidityFiles(join(here, "src")), ...Object.values(packages).flatMap(Object.values)])].sort();
  const sources = Object.fromEntries(roots.map((path) => [path, { content: read(path) }]));
  const outputSelection = { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "metadata"] } };
  const input = { language: "Solidity", sources, settings: { ...settings, outputSelection } };
  const load = (path) => {
    try {
      return { contents: read(path) };
    } catch (error) {
      return { error: error.message };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
  const problems = (output.errors ?? []).filter((problem) => problem.severity !== "info");
  problems.forEach((problem) => console.error(problem.formattedMessage));
  if (problems.length > 0) process.exit(1);
  return output;
}

function artifact(name, path, output) {
  const contract = output.contracts[path][name];
  const size = contract.evm.deployedBytecode.object.length / 2;
  if (process.argv.includes("--sizes")) console.log(`${name}: ${size} bytes`);
  if (size > codeLimit) throw new Error(`${name} has ${size} bytes of code, the limit is ${codeLimit}`);
  // Every source that the compiler read for this contract, so that a changed dependency shows.
  const hash = createHash("sha256");
  for (const source of Object.keys(JSON.parse(contract.metadata).sources).sort()) {
    hash.update(`${source}\0${read(source)}\0`);
  }
  return {
    contract: name,
    source: path,
    sourceHash: `sha256:${hash.digest("hex")}`,
    compiler: solc.version(),
    settings,
    abi: contract.abi,
    bytecode: `0x${contract.evm.bytecode.object}`,
    // The devnet has its contracts from genesis on, where no constructor runs.
    ...(path.startsWith("mach-devnet/") && { deployedBytecode: `0x${contract.evm.deployedBytecode.object}` }),
  };
}

const output = compile();
const check = process.argv.includes("--check");
let stale = 0;
for (const [folder, contracts] of Object.entries(packages)) {
  mkdirSync(join(repository, folder), { recursive: true });
  for (const [name, path] of Object.entries(contracts)) {
    const text = `${JSON.stringify(artifact(name, path, output), null, 1)}\n`;
    const file = join(repository, folder, `${name}.json`);
    if (!check) {
      writeFileSync(file, text);
    } else if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
      console.error(`${folder}/${name}.json does not match its source: run \`npm run build\` and commit the result`);
      stale += 1;
    }
  }
}
process.exit(stale === 0 ? 0 : 1);
