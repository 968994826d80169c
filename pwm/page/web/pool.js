// Workers that train runs. The page stays responsive, and training is stopped by ending its worker.

import { byId } from "./dom.js";

export const CORES = Math.max(1, navigator.hardwareConcurrency || 1);
let workerAddress = null; // of the script of all workers, made for the first

export class Stopped extends Error {}

export class Trainer {
  // `bytes` is the compiled engine.
  constructor(bytes) {
    workerAddress ??= URL.createObjectURL(
      new Blob([byId("engine").textContent, byId("worker").textContent], {
        type: "text/javascript",
      }),
    );
    this.worker = new Worker(workerAddress);
    this.worker.postMessage({ bytes });
  }

  // Trains a run, one at a time; `onWindows` gets lists of windows as they come. The promise is
  // rejected with `Stopped` if the training is stopped.
  train(config, onWindows) {
    return new Promise((resolve, reject) => {
      this.reject = reject;
      this.worker.onmessage = ({ data }) => {
        if (data.windows) onWindows(data.windows);
        else if (data.result) resolve(data.result);
        else reject(new Error(data.error));
      };
      this.worker.onerror = (event) => reject(new Error(event.message || "the worker failed"));
      this.worker.postMessage({ config });
    });
  }

  stop() {
    this.worker.terminate();
    this.reject?.(new Stopped());
  }
}

// Estimated time to train a run, as `pwm.runs.shards` estimates it, in units of half a microsecond.
// `pairs` are the pairs of each stimulus set, as two letters.
export function costOf(values, pairs) {
  const steps = Math.floor(values.episode_length / values.trial_length) * values.trial_length;
  const size = values.hidden_size / 24;
  const names = pairs[values.stimulus_set];
  const stimuli = new Set(names.join("")).size;
  const rows = Math.min(stimuli * (values.trial_length - 1) + names.length, steps);
  const computed = values.carry_state ? 0.8 * steps : 0.33 * rows;
  const products = (values.separate_trunks ? 2 : 1) * computed * size ** 1.75;
  return values.num_episodes * (4 + 0.02 * steps + products);
}
