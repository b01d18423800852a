// Asks an aggregator with another implementation of gRPC, which reads the descriptions themselves.
// Arguments: URL, folder with node_modules, folder with the descriptions. Says what it is answered.
import { createRequire } from "node:module";

const [url, modules, protos] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

function load(file) {
  const options = { includeDirs: [protos], longs: String, bytes: String, oneofs: true };
  return grpc.loadPackageDefinition(loader.loadSync(file, options));
}

const address = url.replace("http://", "");
const credentials = grpc.credentials.createInsecure();
const { mach } = load("mach/v1/aggregator.proto");
const { aggregator } = load("legacy/aggregator.proto");
const clients = {
  aggregator: new mach.v1.Aggregator(address, credentials),
  rounds: new mach.v1.Rounds(address, credentials),
  tasks: new aggregator.Aggregator(address, credentials),
};

function call(client, method, request) {
  return new Promise((resolve) => {
    clients[client][method](request, (error, answer) => {
      resolve(error ? { code: error.code, message: error.details } : answer);
    });
  });
}

const word = (byte) => Buffer.alloc(32, byte);
const number = Buffer.alloc(32);
number[31] = 1;
const statement = {
  alert: {
    kind: "ALERT_KIND_INVALID_BLOCK",
    rollupChainId: 10,
    block: { number: 1, hash: number },
    rule: 4,
    claimed: word(1),
    computed: word(2),
  },
};
const signed = {
  statement,
  domain: { l1ChainId: 1, serviceManager: Buffer.alloc(20, 0x5e) },
  operator: word(9),
  signature: Buffer.alloc(64, 1),
};
console.log(
  JSON.stringify({
    opened: await call("aggregator", "openRound", { statement }),
    short: await call("aggregator", "openRound", {
      statement: { alert: { ...statement.alert, claimed: Buffer.alloc(31) } },
    }),
    stranger: await call("aggregator", "submitSignature", { signed }),
    created: await call("tasks", "createTask", { alertHash: word(7) }),
    wrong: await call("tasks", "createTask", { alertHash: word(7).subarray(1) }),
    missing: await call("rounds", "getCertificate", { digest: word(1) }),
  }),
);
process.exit(0);
