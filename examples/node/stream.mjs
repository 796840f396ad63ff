// Endless speech as one recording: serving/client/stream.py, which explains it, in JavaScript.
import { tensor } from "./serving.mjs";

const FRONT_END = "stream_front_end", STEP = "stream";
const ANSWER = ["classes", "label", "probabilities"];
const REQUEST_SAMPLES = 2 ** 19;
const SILENT_DB = -1000;

/** Tells whether a model with these signatures takes a recording as one endless sequence. */
export const streams = (signatures) => signatures.has(FRONT_END) && signatures.has(STEP);

/** Takes samples block by block; each answer is for all of them so far. Created by `open`. */
export class StreamSession {
  static async open(ask) {
    const session = new StreamSession();
    Object.assign(session, { ask, kept: new Float32Array(0), firstKept: 0, total: 0, answeredTo: 0 });
    await session.start();
    session.nextEnd = session.window;
    return session;
  }

  /** Yields {end, outputs, version} at every step that a Float32Array completes. */
  async *push(block) {
    const kept = new Float32Array(this.kept.length + block.length);
    kept.set(this.kept);
    kept.set(block, this.kept.length);
    this.kept = kept;
    this.total += block.length;
    while (this.total >= this.nextEnd) {
      yield await this.answerFor(this.nextEnd);
      this.nextEnd += this.plan.hop_samples;
      this.dropOldSamples();
    }
  }

  /** Yields the answer for all samples if the last one did not reach their end. */
  async *finish() {
    if (this.total > this.answeredTo) yield await this.answerFor(this.total);
  }

  // === Plan and state ===

  async start() {
    const { outputs, version } = await this.ask(FRONT_END, stretch(new Float32Array(1), SILENT_DB), ["plan"]);
    const plan = JSON.parse(outputs.plan.values[0]);
    const least = plan.window_samples + plan.ahead_samples + (plan.context_steps + 1) * plan.hop_samples;
    const request = Math.min(Math.max(REQUEST_SAMPLES, least), plan.most_samples);
    Object.assign(this, { version, plan, request, window: plan.window_samples });
    Object.assign(this, { trimmer: new Trimmer(plan.trim, this.firstKept), loudest: SILENT_DB, answeredEnd: -1 });
    this.restart(this.firstKept);
  }

  restart(first) {
    const zeros = ([name, size]) => [name, tensor(new Float32Array(size), [1, size])];
    const state = Object.fromEntries(Object.entries(this.plan.state).map(zeros));
    Object.assign(this, { first, next: 0, state, answer: {} });
  }

  async run(signature, inputs, names) {
    const { outputs, version } = await this.ask(signature, inputs, names);
    if (version !== this.version) throw new VersionChanged();
    return outputs;
  }

  stepStart(step) {
    return this.first + step * this.plan.hop_samples;
  }

  samples(start, end) {
    return this.kept.slice(start - this.firstKept, end - this.firstKept);
  }

  dropOldSamples() {
    if (this.answeredTo <= this.plan.most_samples) return;
    this.trimmer.energies = null;
    const firstNeeded = Math.min(this.stepStart(Math.max(0, this.next - this.plan.context_steps)), this.trimmer.next);
    this.kept = this.samples(firstNeeded, this.total);
    this.firstKept = firstNeeded;
  }

  // === Answers ===

  async answerFor(until) {
    for (;;) {
      try {
        await this.update(until);
        this.answeredTo = until;
        return { end: until, outputs: this.answer, version: this.version };
      } catch (error) {
        if (!(error instanceof VersionChanged)) throw error;
        await this.start();
      }
    }
  }

  async update(until) {
    let { first, end } = this.trimmer.update(this.samples(this.trimmer.next, until), until);
    if (first !== this.first) {
      Object.assign(this, { loudest: SILENT_DB, answeredEnd: -1 });
      this.restart(first);
    }
    if (until - this.stepStart(this.next) > this.plan.most_samples) end = until;
    else if (end === this.answeredEnd) return;
    this.answer = await this.answerUpTo(end);
    this.answeredEnd = end;
  }

  async answerUpTo(end) {
    const { hop_samples: hop, least_samples: least, ahead_samples: ahead, context_steps: contextSteps } = this.plan;
    let answer = this.answer;
    for (let stop = -1; stop < end; ) {
      const stepStart = this.stepStart(this.next);
      if (this.next && end - stepStart < least) return this.answer;
      const context = Math.min(this.next, contextSteps);
      const start = stepStart - context * hop;
      stop = Math.min(end, start + this.request);
      const steps = await this.stepInputs(start, stop);
      if (steps === null) {
        stop = -1;
        continue;
      }
      let state = this.state;
      for (const [number, inputs] of steps.slice(context).entries()) {
        const final = stepStart + number * hop + this.window + ahead <= stop;
        if (!final && stop < end) break;
        const names = Object.keys(state);
        answer = await this.run(STEP, { ...inputs, ...state }, [...ANSWER, ...names]);
        state = Object.fromEntries(names.map((name) => [name, tensor(answer[name].values, answer[name].shape)]));
        if (final) Object.assign(this, { next: this.next + 1, state, answer });
      }
    }
    return answer;
  }

  async stepInputs(start, stop) {
    const names = this.plan.inputs;
    const inputs = stretch(this.samples(start, stop), this.loudest);
    const frontEnd = await this.run(FRONT_END, inputs, ["steps", "loudest_db", ...names]);
    const loudest = frontEnd.loudest_db.values[0];
    const isLouder = loudest > this.loudest;
    this.loudest = loudest;
    if (isLouder && this.next && this.first >= this.firstKept) {
      this.restart(this.first);
      return null;
    }
    const row = ({ shape: [, steps, ...rest], values }, step) => {
      const size = values.length / steps;
      return tensor(values.slice(step * size, (step + 1) * size), [1, ...rest]);
    };
    return Array.from({ length: frontEnd.steps.values[0] }, (_, step) =>
      Object.fromEntries(names.map((name) => [name, row(frontEnd[name], step)])),
    );
  }
}

class VersionChanged extends Error {}

function stretch(samples, loudest) {
  return {
    waveform: tensor(samples, [1, samples.length]),
    length: tensor(Int32Array.of(samples.length), [1]),
    loudest_db: tensor(Float32Array.of(loudest), [1]),
  };
}

/** Trims the silence before and after the speech of a recording that is still growing. */
class Trimmer {
  constructor(trim, origin) {
    Object.assign(this, { trim, origin, next: origin, first: origin, end: origin, loudest: -1, energies: [] });
  }

  update(samples, until) {
    if (!this.trim) {
      this.next = until;
      return { first: this.first, end: until };
    }
    const { db, frame_samples: frame, hop_samples: hop } = this.trim;
    if (until - this.origin < frame) return { first: this.first, end: until };
    const energies = [];
    for (let at = 0; at + frame <= samples.length; at += hop) {
      let energy = 0;
      for (let n = at; n < at + frame; n += 1) energy += samples[n] ** 2;
      energies.push(energy);
    }
    const loudest = energies.reduce((maximum, energy) => Math.max(maximum, energy), this.loudest);
    const threshold = loudest * 10 ** (-db / 10);
    if (this.energies) {
      this.energies = this.energies.concat(energies);
      if (loudest > this.loudest) {
        this.first = this.origin + hop * this.energies.findIndex((energy) => energy >= threshold);
      }
    }
    this.loudest = loudest;
    const last = energies.findLastIndex((energy) => energy >= threshold);
    if (last >= 0) this.end = this.next + hop * last + frame;
    this.next += hop * energies.length;
    return { first: this.first, end: this.end };
  }
}
