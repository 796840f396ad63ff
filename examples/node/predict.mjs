// Asks a server: node predict.mjs serving.desc speech.wav [localhost:8500] [model]
// The descriptors are written by: python -m serving.descriptors serving.desc
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";

const [descriptors, path, endpoint = "localhost:8500", name = "moma"] = process.argv.slice(2);
const loaded = loadFileDescriptorSetFromBuffer(readFileSync(descriptors), { keepCase: true });
const { PredictionService } = grpc.loadPackageDefinition(loaded).tensorflow.serving;
const client = new PredictionService(endpoint, grpc.credentials.createInsecure());

// Read from descriptors, a map is the list of its entries, as it is on the wire.
const wav = { dtype: "DT_STRING", tensor_shape: { dim: [{ size: 1 }] }, string_val: [readFileSync(path)] };
const request = { model_spec: { name, signature_name: "wav_bytes" }, inputs: [{ key: "wav", value: wav }] };
client.Predict(request, { deadline: Date.now() + 30_000 }, (error, response) => {
  if (error) {
    console.error(`${grpc.status[error.code]}: ${error.details}`);
    process.exitCode = 1;
  } else {
    const { classes, probabilities } = Object.fromEntries(
      response.outputs.map(({ key, value }) => [key, value]),
    );
    classes.string_val.forEach((label, k) =>
      console.log(`${label.toString().padEnd(10)} ${probabilities.float_val[k].toFixed(2)}`),
    );
  }
  client.close();
});
