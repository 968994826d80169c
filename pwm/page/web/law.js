// Closed forms: the leak, the climb, intervals and bounds. They repeat `pwm.core.leak`,
// `pwm.analysis.theory`, `.climb`, `.estimates`, `.learning` and `.sampling`, which say where each
// comes from; tests compare the two over many settings.

const CONFIDENCE = 0.95;
const Z = 1.959963984540054; // of a two-sided interval of 95%
const SUCCESS = 0.5; // of trials, before the task is learned
const SMOOTHING = 0.99;
const ARRIVED = 1500; // episodes, more than any climb takes
const SHARE = 0.265; // factor on the critic's share, the law's one fitted number

export function policyFactor(steps, reduction) {
  return reduction === "sum" ? 1 : 1 / steps;
}

export function startEntropy(trialLength) {
  return ((trialLength - 1) * Math.log(3) + Math.log(2)) / trialLength;
}

// The leak's bias b = c T H / 2w.
export function criticBias(steps, entropy, weight, reduction = "sum") {
  return ((policyFactor(steps, reduction) * steps) / (2 * weight)) * entropy;
}

export function meanReturn(success, trials, reward = 1) {
  return (reward * success * (trials + 1)) / 2;
}

export function valueFloor(success, trials, positionKnown = false) {
  const between = (success ** 2 * (trials ** 2 - 1)) / 12;
  const within = (success * (1 - success) * (trials + 1)) / 2;
  return positionKnown ? within : between + within;
}

// Critic weight at which the leak's bias equals the standard deviation of the return.
export function noiseWeight(
  steps,
  trialLength,
  { reduction = "sum", reward = 1, positionKnown = false } = {},
) {
  const variance = valueFloor(SUCCESS, Math.floor(steps / trialLength), positionKnown);
  return (
    criticBias(steps, startEntropy(trialLength), 1, reduction) / (reward * Math.sqrt(variance))
  );
}

export function slowdown(bias = 0, critic = 0) {
  const head = 1 + bias ** 2;
  return Math.sqrt(Math.sqrt(head) * Math.sqrt(head + critic ** 2));
}

// Of a unit whose parameters have all moved in its direction, means over a trial's steps: of its
// output |h|, and of the derivative 1 - h².
function unitAfter(displacement, hiddenSize, trialLength) {
  let hidden = 0;
  let cell = 0;
  let output = 0;
  let gain = 0;
  for (let step = 0; step < trialLength; step++) {
    const shown = step === 0 || step === trialLength - 1 ? 1 : 0;
    const drive = displacement * (2 + shown + hiddenSize * hidden);
    const gate = 1 / (1 + Math.exp(-drive));
    cell = gate * (cell + Math.tanh(drive));
    hidden = gate * Math.tanh(cell);
    output += hidden / trialLength;
    gain += (1 - hidden ** 2) / trialLength;
  }
  return { output, gain };
}

// Predicted slowdown relative to a light detached critic that starts at the mean return. The
// setting has steps, weight, start, trialLength, learningRate, hiddenSize, reward, attached.
export function climbSlowdown(setting) {
  const { steps, weight, start, trialLength, learningRate, hiddenSize, reward, attached } = setting;
  const trials = steps / trialLength;
  const bias = attached ? criticBias(steps, startEntropy(trialLength), weight) : 0;
  const spread = reward * Math.sqrt(valueFloor(SUCCESS, trials));
  const distance = Math.abs(meanReturn(SUCCESS, trials, reward) + bias - start);
  const initial = 1 / Math.sqrt(3 * hiddenSize);
  const variance =
    (reward ** 2 * SUCCESS * (1 - SUCCESS) * (trials + 1) * (2 * trials + 1)) / (6 * trials);
  const scores = ((steps - trials) * 2) / 3 + trials / 2;
  let head = 0;
  let trunk = 0;
  let headSquare = 0;
  let trunkSquare = 0;
  for (let episode = 0; episode < ARRIVED; episode++) {
    const size = initial + head;
    const moved = head + hiddenSize * size * unitAfter(trunk, hiddenSize, trialLength).output;
    const left = distance - moved;
    const square = left ** 2 + variance;
    const gradient = 2 * weight * size;
    headSquare += (1 - SMOOTHING) * (square - headSquare);
    const policy = scores * initial ** 2 * (left ** 2 + spread ** 2);
    trunkSquare += (1 - SMOOTHING) * (gradient ** 2 * square + policy - trunkSquare);
    head += (learningRate * left) / Math.sqrt(headSquare);
    trunk += (learningRate * gradient * left) / Math.sqrt(trunkSquare);
  }
  const grown = 1 + head / initial;
  const share =
    (SHARE * grown ** 2 * 2 * weight * Math.sqrt(variance)) / (Math.sqrt(scores) * spread);
  const gain = unitAfter(trunk, hiddenSize, trialLength).gain;
  return slowdown(bias / spread, share) / gain;
}

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

const logFactorials = [0, 0];
function logFactorial(number) {
  for (let next = logFactorials.length; next <= number; next++) {
    logFactorials.push(logFactorials[next - 1] + Math.log(next));
  }
  return logFactorials[number];
}

function logChoose(from, some) {
  if (some < 0 || some > from) return -Infinity;
  return logFactorial(from) - logFactorial(some) - logFactorial(from - some);
}

// Probability that a sample without replacement shows at most so many wrong ones.
function atMost(shown, total, wrong, drawn) {
  let sum = 0;
  for (let found = 0; found <= shown; found++) {
    const log = logChoose(wrong, found) + logChoose(total - wrong, drawn - found);
    sum += Math.exp(log - logChoose(total, drawn));
  }
  return sum;
}

// Upper confidence bound on how many runs of all are wrong, from a sample that shows some.
export function mostWrong(total, drawn, wrong) {
  let low = wrong; // not excluded
  let high = total - drawn + wrong + 1; // excluded, or beyond what is possible
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (atMost(wrong, total, middle, drawn) <= 1 - CONFIDENCE) high = middle;
    else low = middle;
  }
  return low;
}

// Whole numbers below a limit, without repetition, in random order, from a seed. The generator is
// Marsaglia's xorshift of 32 bits, whose seed must not be zero.
export function drawn(limit, count, seed) {
  const order = Uint32Array.from({ length: limit }, (_, place) => place);
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  const next = (below) => {
    const fair = 2 ** 32 - (2 ** 32 % below);
    do {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      state >>>= 0;
    } while (state >= fair);
    return state % below;
  };
  for (let skip = 0; skip < 16; skip++) next(2);
  const some = Math.min(count, limit);
  for (let place = 0; place < some; place++) {
    const other = place + next(limit - place);
    [order[place], order[other]] = [order[other], order[place]];
  }
  return [...order.subarray(0, some)];
}

const FINAL = 500; // episodes that decide whether a run has learned

// Final reward above which a run has learned, given the levels of `pwm.analysis.levels`.
function rewardToLearn(levels, trials, episodes, standardErrors) {
  const below = Object.values(levels).filter((level) => level < levels.solved);
  const ceiling = Math.max(...below);
  return ceiling + standardErrors * Math.sqrt((ceiling * (1 - ceiling)) / (episodes * trials));
}

// Whether a run learned, and after how many episodes it first had; its history's windows have one
// length, but for the last.
export function learning({ episode, reward }, levels, trials, standardErrors) {
  const last = episode.at(-1);
  let sum = 0;
  let episodes = 0;
  episode.forEach((end, place) => {
    if (end <= last - FINAL) return;
    const length = end - (place ? episode[place - 1] : 0);
    sum += reward[place] * length;
    episodes += length;
  });
  const learned = sum / episodes > rewardToLearn(levels, trials, episodes, standardErrors);
  const windows = Math.min(Math.ceil(FINAL / episode[0]), episode.length);
  const needed = rewardToLearn(levels, trials, windows * episode[0], standardErrors);
  let running = 0;
  for (let place = 0; place < episode.length; place++) {
    running += reward[place] - (place >= windows ? reward[place - windows] : 0);
    if (place >= windows - 1 && running / windows > needed)
      return { learned, time: episode[place] };
  }
  return { learned, time: Infinity };
}
