// Asks a server: node predict.mjs serving.desc speech.wav [localhost:8500] [model]
// With - for the file it reads 16-bit mono PCM at the model's rate from standard input, and prints a
// prediction at every step of a model that streams.
// Write the descriptors with: python -m serving.client.descriptors serving.desc
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { connect, text } from "./serving.mjs";
import { StreamSession, streams } from "./stream.mjs";

const [descriptors, path, endpoint = "localhost:8500", name = "moma"] = process.argv.slice(2);
const model = connect(descriptors, endpoint, name);

function print({ classes, probabilities }) {
  classes.values.forEach((label, k) => console.log(`${label.padEnd(10)} ${probabilities.values[k].toFixed(2)}`));
}

const samplesOf = (bytes) => Float32Array.from({ length: bytes.length >> 1 }, (_, n) => bytes.readInt16LE(2 * n) / 32768);

async function* standardInput() {
  let halfSample = Buffer.alloc(0);
  for await (const data of process.stdin) {
    const bytes = Buffer.concat([halfSample, data]);
    // A pipe may cut a sample in two.
    yield samplesOf(bytes);
    halfSample = bytes.subarray(bytes.length & ~1);
  }
}

try {
  if (path !== "-") {
    print((await model.ask("wav_bytes", { wav: text(readFileSync(path)) })).outputs);
  } else if (!streams(await model.signatures())) {
    console.error(`${name}: predicts each window by itself. Live input is for models that stream.`);
    process.exitCode = 1;
  } else {
    const session = await StreamSession.open(model.ask);
    const printAnswer = ({ end, outputs: { label, probabilities } }) =>
      console.log(`${(end / session.plan.sample_rate_hz).toFixed(2)} ${label.values[0]} ${Math.max(...probabilities.values).toFixed(6)}`);
    for await (const block of standardInput()) for await (const answer of session.push(block)) printAnswer(answer);
    for await (const answer of session.finish()) printAnswer(answer);
  }
} catch (error) {
  console.error(error.code === undefined ? error.message : `${grpc.status[error.code]}: ${error.details}`);
  process.exitCode = 1;
} finally {
  model.close();
}
