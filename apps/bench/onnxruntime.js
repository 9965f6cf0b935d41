// ONNX Runtime's side of `slopewise bench`. Arguments: DIRECTORY FILES THREADS.
//
// DIRECTORY is where npm has installed onnxruntime-node. FILES holds bench.json: a network and a small one that touches
// the same code ("model", "small"), each with its "path" and its "inputs", of which each has a "name", a "shape", a "type"
// (float32 or int32) and, but for the small network's, the "file" of its numbers as they lie in memory; and "output", the
// loss, or, with "classes", logits, whose mean cross entropy with the int32 in the file "labels" is the loss. The first line
// on standard output is "onnxruntime VERSION", or "absent REASON". Then each line on standard input gets one line in
// answer:
//
//     loss             the loss
//     run loss COUNT   seconds of COUNT runs, after one that is not counted
//     peak loss        bytes of memory at a run's peak, beyond what a process with model and batch holds; asked first
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const [directory, files, threads] = process.argv.slice(1);

function say(...words) {
  fs.writeSync(1, words.join(" ") + "\n");
}

// The package's own sessions hand every run to the event loop, which takes as long as a small network; its binding runs
// at once.
let Tensor, Session, version;
try {
  const load = require("node:module").createRequire(path.resolve(directory, "here"));
  const package_ = load("onnxruntime-node");
  const { binding, initOrt } = load("onnxruntime-node/dist/binding");
  initOrt();
  [Tensor, Session, version] = [package_.Tensor, binding.InferenceSession, package_.env.versions.node];
} catch (error) {
  say("absent", error.message.split("\n")[0]);
  process.exit();
}

// The types of ONNX's TensorProto that inputs are given in.
const kTypes = { 1: "float32", 6: "int32", 7: "int64", 9: "bool", 11: "float64" };

// Numbers in the type that the model reads.
function typed(numbers, type) {
  if (type === "int64") return BigInt64Array.from(numbers, BigInt);
  if (type === "bool") return Uint8Array.from(numbers);
  if (type === "float64") return Float64Array.from(numbers);
  return numbers;
}

class Loss {
  // `read` returns the numbers of an input, as many as its shape has.
  constructor({ path: file, inputs }, output, read) {
    this.session = new Session();
    this.session.loadModel(file, {
      executionProviders: ["cpu"],
      executionMode: "sequential",
      graphOptimizationLevel: "all",
      intraOpNumThreads: Number(threads),
      interOpNumThreads: 1,
    });
    this.fetches = { [output]: null };
    this.output = output;
    this.inputs = {};
    const types = Object.fromEntries(this.session.inputMetadata.map(({ name, type }) => [name, kTypes[type]]));
    for (const input of inputs) {
      const count = input.shape.reduce((product, extent) => product * extent, 1);
      if (!types[input.name]) throw new Error(`${file}: the input ${input.name} has a type that is not measured`);
      const numbers = read(input, input.type === "float32" ? Float32Array : Int32Array, count);
      this.inputs[input.name] = new Tensor(types[input.name], typed(numbers, types[input.name]), input.shape);
    }
  }

  take() {
    return this.session.run(this.inputs, this.fetches, {})[this.output];
  }
}

function zeros(input, Numbers, count) {
  return new Numbers(count);
}

function stored({ file }, Numbers, count) {
  const bytes = fs.readFileSync(path.join(files, file));
  return new Numbers(bytes.buffer, bytes.byteOffset, count);
}

// The mean over all places of −log softmax(logits)[label].
function crossEntropy(logits, labels, classes) {
  let sum = 0;
  for (let place = 0; place < labels.length; ++place) {
    const row = logits.subarray(place * classes, (place + 1) * classes);
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const total = row.reduce((a, x) => a + Math.exp(x - most), 0);
    sum += most + Math.log(total) - row[labels[place]];
  }
  return sum / labels.length;
}

function lossOf(output) {
  if (!bench.classes) return output.data[0];
  const count = output.data.length / bench.classes;
  return crossEntropy(output.data, stored({ file: bench.labels }, Int32Array, count), bench.classes);
}

function seconds(loss, count) {
  loss.take();
  const times = [];
  for (let run = 0; run < count; ++run) {
    const start = process.hrtime.bigint();
    loss.take();
    times.push(Number(process.hrtime.bigint() - start) / 1e9);
  }
  return times.join(" ");
}

function status(field) {
  return 1024 * Number(fs.readFileSync("/proc/self/status", "utf8").match(new RegExp(`${field}:\\s*(\\d+) kB`))[1]);
}

function peak() {
  new Loss(bench.small, bench.output, zeros).take();
  const loss = new Loss(bench.model, bench.output, stored);
  const held = status("VmRSS");
  fs.writeFileSync("/proc/self/clear_refs", "5"); // VmHWM starts anew
  for (let run = 0; run < 3; ++run) loss.take();
  return status("VmHWM") - held;
}

say("onnxruntime", version);
const bench = JSON.parse(fs.readFileSync(path.join(files, "bench.json"), "utf8"));
let loss;
require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [command, , count] = line.split(" ");
    if (command === "peak") {
      say(peak());
      return;
    }
    loss ??= new Loss(bench.model, bench.output, stored);
    say(command === "loss" ? lossOf(loss.take()) : seconds(loss, Number(count)));
  });
