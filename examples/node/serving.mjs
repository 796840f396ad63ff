// One model of a server: its signatures and their answers.
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";

const DEADLINE_MS = 30_000;

/** Returns {signatures, ask, close} of a model; `descriptors` is a file of serving.client.descriptors. */
export function connect(descriptors, endpoint, name) {
  const options = { keepCase: true, longs: Number, enums: String, defaults: true };
  const loaded = loadFileDescriptorSetFromBuffer(readFileSync(descriptors), options);
  const { PredictionService } = grpc.loadPackageDefinition(loaded).tensorflow.serving;
  const client = new PredictionService(endpoint, grpc.credentials.createInsecure());

  const call = (method, request) =>
    new Promise((resolve, reject) => {
      const deadline = Date.now() + DEADLINE_MS;
      client[method](request, { deadline }, (error, response) => (error ? reject(error) : resolve(response)));
    });

  /** Returns the names of the model's signatures. */
  async function signatures() {
    const request = { model_spec: { name }, metadata_field: ["signature_def"] };
    const { metadata } = await call("GetModelMetadata", request);
    const packed = metadata.find(({ key }) => key === "signature_def").value.value;
    const { signature_def } = loaded["tensorflow.serving.SignatureDefMap"].deserialize(packed);
    return new Set(signature_def.map(({ key }) => key));
  }

  /** Returns {outputs: {name: {shape, values}}, version}; inputs are tensors, as of `tensor` and `text`. */
  async function ask(signature_name, inputs, output_filter = []) {
    // Read from descriptors, a map is the list of its entries, as it is on the wire.
    const entries = Object.entries(inputs).map(([key, value]) => ({ key, value }));
    const request = { model_spec: { name, signature_name }, inputs: entries, output_filter };
    const { outputs, model_spec } = await call("Predict", request);
    const arrays = outputs.map(({ key, value }) => [key, arrayOf(value)]);
    return { outputs: Object.fromEntries(arrays), version: model_spec.version.value };
  }

  return { signatures, ask, close: () => client.close() };
}

// === Tensors ===

const shaped = (shape) => ({ dim: shape.map((size) => ({ size })) });
const bytesOf = (values) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** Returns the tensor of a Float32Array or Int32Array. */
export function tensor(values, shape) {
  const dtype = values instanceof Int32Array ? "DT_INT32" : "DT_FLOAT";
  return { dtype, tensor_shape: shaped(shape), tensor_content: bytesOf(values) };
}

/** Returns the tensor of one text or file. */
export function text(value) {
  return { dtype: "DT_STRING", tensor_shape: shaped([1]), string_val: [value] };
}

function arrayOf({ dtype, tensor_shape, tensor_content, float_val, int_val, string_val }) {
  const shape = tensor_shape.dim.map(({ size }) => size);
  if (dtype === "DT_STRING") return { shape, values: string_val.map(String) };
  const kind = dtype === "DT_INT32" ? Int32Array : Float32Array;
  if (tensor_content.length) return { shape, values: new kind(Uint8Array.from(tensor_content).buffer) };
  const values = kind.from(dtype === "DT_INT32" ? int_val : float_val);
  const size = shape.reduce((product, length) => product * length, 1);
  // A single value stands for a whole tensor of it.
  return { shape, values: values.length === size ? values : new kind(size).fill(values[0]) };
}
