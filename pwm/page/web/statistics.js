// Statistics of runs: intervals, quartiles, random samples, and when a run has learned. They repeat
// `pwm.analysis.estimates`, `.sampling` and `.learning`; tests compare the two.

const CONFIDENCE = 0.95;
const Z = 1.959963984540054; // of a two-sided interval of 95%
const FINAL = 500; // episodes that decide whether a run has learned

// A fraction with its 95% Wilson score interval: [rate, low, high].
export function wilson(successes, total) {
  const rate = successes / total;
  const scale = 1 + Z ** 2 / total;
  const middle = (rate + Z ** 2 / (2 * total)) / scale;
  const half = (Z / scale) * Math.sqrt((rate * (1 - rate)) / total + Z ** 2 / (4 * total ** 2));
  return [rate, successes ? middle - half : 0, successes < total ? middle + half : 1];
}

// Lower quartile, median and upper quartile; the median of an even number is the lower middle one.
export function quartiles(values) {
  const sorted = Float64Array.from(values).sort();
  return [0.25, 0.5, 0.75].map((part) => sorted[Math.ceil(part * sorted.length) - 1]);
}

export function median(values) {
  return quartiles(values)[1];
}

const logFactorials = [0, 0];
function logFactorial(number) {
  for (let next = logFactorials.length; next <= number; next++)
    logFactorials.push(logFactorials[next - 1] + Math.log(next));
  return logFactorials[number];
}

function logChoose(from, some) {
  if (some < 0 || some > from) return -Infinity;
  return logFactorial(from) - logFactorial(some) - logFactorial(from - some);
}

// Hypergeometric probability that a sample without replacement has at most `most` wrong runs.
function probabilityOfAtMost(most, total, wrong, drawn) {
  let sum = 0;
  for (let found = 0; found <= most; found++) {
    const log = logChoose(wrong, found) + logChoose(total - wrong, drawn - found);
    sum += Math.exp(log - logChoose(total, drawn));
  }
  return sum;
}

// Upper confidence bound on the number of wrong runs among all, from the number in a sample.
export function mostWrong(total, drawn, wrong) {
  let low = wrong; // not excluded
  let high = total - drawn + wrong + 1; // excluded, or beyond what is possible
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (probabilityOfAtMost(wrong, total, middle, drawn) <= 1 - CONFIDENCE) high = middle;
    else low = middle;
  }
  return low;
}

// Draws different whole numbers below a limit, in random order, by Marsaglia's xorshift generator of
// 32 bits, whose state must not be zero.
export function randomSample(limit, count, seed) {
  const order = Uint32Array.from({ length: limit }, (_, index) => index);
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  const next = (below) => {
    const fair = 2 ** 32 - (2 ** 32 % below); // a multiple: larger draws would favour some numbers
    do {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
    } while (state >= fair);
    return state % below;
  };
  for (let skip = 0; skip < 16; skip++) next(2); // the first states resemble the seed
  const size = Math.min(count, limit);
  for (let index = 0; index < size; index++) {
    const other = index + next(limit - index);
    [order[index], order[other]] = [order[other], order[index]];
  }
  return [...order.subarray(0, size)];
}

// Mean reward over some episodes above which a run has learned: four standard errors, or as many as
// given, above the best of the `levels` that do not solve the task (`pwm.analysis.levels`).
function rewardToLearn(levels, trials, episodes, standardErrors) {
  const unsolved = Object.values(levels).filter((level) => level < levels.solved);
  const ceiling = Math.max(...unsolved);
  return ceiling + standardErrors * Math.sqrt((ceiling * (1 - ceiling)) / (episodes * trials));
}

// Whether a run learned, by its last episodes, and the `time`, in episodes, at which it first had;
// Infinity for never. The history's windows have one length, except for the last.
export function learning({ episode, reward }, levels, trials, standardErrors) {
  const last = episode.at(-1);
  let sum = 0;
  let episodes = 0;
  episode.forEach((end, index) => {
    if (end <= last - FINAL) return;
    const length = end - (index ? episode[index - 1] : 0);
    sum += reward[index] * length;
    episodes += length;
  });
  const learned = sum / episodes > rewardToLearn(levels, trials, episodes, standardErrors);
  const windows = Math.min(Math.ceil(FINAL / episode[0]), episode.length);
  const needed = rewardToLearn(levels, trials, windows * episode[0], standardErrors);
  let running = 0; // sum of the reward over the latest windows
  for (let index = 0; index < episode.length; index++) {
    running += reward[index] - (index >= windows ? reward[index - windows] : 0);
    if (index >= windows - 1 && running / windows > needed)
      return { learned, time: episode[index] };
  }
  return { learned, time: Infinity };
}
