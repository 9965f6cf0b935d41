// ONNX Runtime's side of `slopewise bench`. Arguments: DIRECTORY FILES THREADS.
//
// DIRECTORY is where npm has installed onnxruntime-node; FILES holds model.onnx, its inputs "image" (float32) and
// "label" (int32) as they lie in memory, and small.onnx, a small network of the same kind. The first line on standard
// output is "onnxruntime VERSION", or "absent REASON". Then each line on standard input gets one line in answer:
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

class Loss {
  // `read` returns the numbers of the input of that name and type, so many of them.
  constructor(model, read) {
    this.session = new Session();
    this.session.loadModel(path.join(files, model), {
      executionProviders: ["cpu"],
      executionMode: "sequential",
      graphOptimizationLevel: "all",
      intraOpNumThreads: Number(threads),
      interOpNumThreads: 1,
    });
    this.inputs = {};
    for (const { name, shape } of this.session.inputMetadata) {
      const [type, numbers] = name === "image" ? ["float32", Float32Array] : ["int32", Int32Array];
      const count = shape.reduce((product, extent) => product * extent, 1);
      this.inputs[name] = new Tensor(type, read(name, numbers, count), shape);
    }
  }

  take() {
    return this.session.run(this.inputs, { loss: null }, {}).loss;
  }
}

function zeros(name, Numbers, count) {
  return new Numbers(count);
}

function stored(name, Numbers, count) {
  const bytes = fs.readFileSync(path.join(files, name));
  return new Numbers(bytes.buffer, bytes.byteOffset, count);
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
  new Loss("small.onnx", zeros).take();
  const loss = new Loss("model.onnx", stored);
  const held = status("VmRSS");
  fs.writeFileSync("/proc/self/clear_refs", "5"); // VmHWM starts anew
  for (let run = 0; run < 3; ++run) loss.take();
  return status("VmHWM") - held;
}

say("onnxruntime", version);
let loss;
require("node:readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [command, , count] = line.split(" ");
    if (command === "peak") {
      say(peak());
      return;
    }
    loss ??= new Loss("model.onnx", stored);
    say(command === "loss" ? loss.take().data[0] : seconds(loss, Number(count)));
  });
