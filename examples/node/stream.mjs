// Endless speech as one recording: serving/client/stream.py in JavaScript, where it says why.
import { tensor } from "./serving.mjs";

const FRONT_END = "stream_front_end", STEP = "stream";
const ANSWER = ["classes", "label", "probabilities"];
const REQUEST_SAMPLES = 2 ** 19;
const SILENT_DB = -1000;

/** Tells whether a model with these signatures hears a recording as one endless sequence. */
export const streams = (signatures) => signatures.has(FRONT_END) && signatures.has(STEP);

/** Hears samples block by block; every answer is of all of them so far. Made by `open`. */
export class StreamSession {
  static async open(ask) {
    const session = new StreamSession();
    Object.assign(session, { ask, kept: new Float32Array(0), start: 0, total: 0, answeredTo: 0 });
    await session.begin();
    session.due = session.window;
    return session;
  }

  /** Yields {end, outputs, version} at every step that a Float32Array completes. */
  async *push(block) {
    const kept = new Float32Array(this.kept.length + block.length);
    kept.set(this.kept);
    kept.set(block, this.kept.length);
    this.kept = kept;
    this.total += block.length;
    while (this.total >= this.due) {
      yield await this.answered(this.due);
      this.due += this.plan.hop_samples;
      this.forget();
    }
  }

  /** Yields what all samples say, where the last answer did not hear their end. */
  async *finish() {
    if (this.total > this.answeredTo) yield await this.answered(this.total);
  }

  // === Plan and state ===

  async begin() {
    const { outputs, version } = await this.ask(FRONT_END, stretch(new Float32Array(1), SILENT_DB), ["plan"]);
    const plan = JSON.parse(outputs.plan.values[0]);
    const least = plan.window_samples + plan.ahead_samples + (plan.context_steps + 1) * plan.hop_samples;
    const request = Math.min(Math.max(REQUEST_SAMPLES, least), plan.most_samples);
    Object.assign(this, { version, plan, request, window: plan.window_samples });
    Object.assign(this, { loud: new LoudPart(plan.trim, this.start), loudest: SILENT_DB, heardEnd: -1 });
    this.restart(this.start);
  }

  restart(first) {
    const zeros = ([name, size]) => [name, tensor(new Float32Array(size), [1, size])];
    const state = Object.fromEntries(Object.entries(this.plan.state).map(zeros));
    Object.assign(this, { first, next: 0, state, answer: {} });
  }

  async run(signature, inputs, names) {
    const { outputs, version } = await this.ask(signature, inputs, names);
    if (version !== this.version) throw new OtherVersion();
    return outputs;
  }

  place(step) {
    return this.first + step * this.plan.hop_samples;
  }

  samples(start, end) {
    return this.kept.slice(start - this.start, end - this.start);
  }

  forget() {
    if (this.answeredTo <= this.plan.most_samples) return;
    this.loud.energies = null;
    const needed = Math.min(this.place(Math.max(0, this.next - this.plan.context_steps)), this.loud.next);
    this.kept = this.samples(needed, this.total);
    this.start = needed;
  }

  // === Answers ===

  async answered(until) {
    for (;;) {
      try {
        await this.hear(until);
        this.answeredTo = until;
        return { end: until, outputs: this.answer, version: this.version };
      } catch (error) {
        if (!(error instanceof OtherVersion)) throw error;
        await this.begin();
      }
    }
  }

  async hear(until) {
    let { first, end } = this.loud.within(this.samples(this.loud.next, until), until);
    if (first !== this.first) {
      Object.assign(this, { loudest: SILENT_DB, heardEnd: -1 });
      this.restart(first);
    }
    if (until - this.place(this.next) > this.plan.most_samples) end = until;
    else if (end === this.heardEnd) return;
    this.answer = await this.through(end);
    this.heardEnd = end;
  }

  async through(end) {
    const { hop_samples: hop, least_samples: least, ahead_samples: ahead, context_steps: context } = this.plan;
    let answer = this.answer;
    for (let stop = -1; stop < end; ) {
      const place = this.place(this.next);
      if (this.next && end - place < least) return this.answer;
      const before = Math.min(this.next, context);
      const start = place - before * hop;
      stop = Math.min(end, start + this.request);
      const steps = await this.front(start, stop);
      if (steps === null) {
        stop = -1;
        continue;
      }
      let state = this.state;
      for (const [number, inputs] of steps.slice(before).entries()) {
        const final = place + number * hop + this.window + ahead <= stop;
        if (!final && stop < end) break;
        const names = Object.keys(state);
        answer = await this.run(STEP, { ...inputs, ...state }, [...ANSWER, ...names]);
        state = Object.fromEntries(names.map((name) => [name, tensor(answer[name].values, answer[name].shape)]));
        if (final) Object.assign(this, { next: this.next + 1, state, answer });
      }
    }
    return answer;
  }

  async front(start, stop) {
    const names = this.plan.inputs;
    const inputs = stretch(this.samples(start, stop), this.loudest);
    const front = await this.run(FRONT_END, inputs, ["steps", "loudest_db", ...names]);
    const loudest = front.loudest_db.values[0];
    const louder = loudest > this.loudest;
    this.loudest = loudest;
    if (louder && this.next && this.first >= this.start) {
      this.restart(this.first);
      return null;
    }
    const row = ({ shape: [, steps, ...rest], values }, step) => {
      const size = values.length / steps;
      return tensor(values.slice(step * size, (step + 1) * size), [1, ...rest]);
    };
    return Array.from({ length: front.steps.values[0] }, (_, step) =>
      Object.fromEntries(names.map((name) => [name, row(front[name], step)])),
    );
  }
}

class OtherVersion extends Error {}

function stretch(samples, loudest) {
  return {
    waveform: tensor(samples, [1, samples.length]),
    length: tensor(Int32Array.of(samples.length), [1]),
    loudest_db: tensor(Float32Array.of(loudest), [1]),
  };
}

/** Where a recording that goes on begins and ends, silence before and behind it trimmed. */
class LoudPart {
  constructor(trim, origin) {
    Object.assign(this, { trim, origin, next: origin, first: origin, end: origin, loudest: -1, energies: [] });
  }

  within(samples, until) {
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
    const loudest = energies.reduce((most, each) => Math.max(most, each), this.loudest);
    const least = loudest * 10 ** (-db / 10);
    if (this.energies) {
      this.energies = this.energies.concat(energies);
      if (loudest > this.loudest) {
        this.first = this.origin + hop * this.energies.findIndex((energy) => energy >= least);
      }
    }
    this.loudest = loudest;
    const last = energies.findLastIndex((energy) => energy >= least);
    if (last >= 0) this.end = this.next + hop * last + frame;
    this.next += hop * energies.length;
    return { first: this.first, end: this.end };
  }
}
