// Closed forms: the leak's bias, and the law of the climb. They repeat `pwm.core.leak`,
// `pwm.analysis.theory` and `pwm.analysis.climb`, which say where each comes from; tests compare the
// two over many settings.

const SUCCESS = 0.5; // of trials, before the task is learned
const SMOOTHING = 0.99; // RMSprop's decay
const ARRIVED = 1500; // episodes, more than most climbs take
const SHARE = 0.265; // factor on the critic's share, the law's one fitted number

// The factor c on the sum over steps in the policy loss.
function policyFactor(steps, reduction) {
  return reduction === "sum" ? 1 : 1 / steps;
}

// Mean entropy per step of a policy that has learned only to answer at the last step of a trial.
export function startEntropy(trialLength) {
  return ((trialLength - 1) * Math.log(3) + Math.log(2)) / trialLength;
}

// The leak's bias, b = c T H / (2 w), in reward.
export function criticBias(steps, entropy, weight, reduction = "sum") {
  return ((policyFactor(steps, reduction) * steps) / (2 * weight)) * entropy;
}

// Mean over an episode's steps of the return, if each trial is rewarded with probability `success`.
export function meanReturn(success, trials, reward = 1) {
  return (reward * success * (trials + 1)) / 2;
}

// Variance of the return, in reward²: the least value loss of a critic that knows nothing, or only
// the position in the episode.
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
  const bias = criticBias(steps, startEntropy(trialLength), 1, reduction);
  return bias / (reward * Math.sqrt(variance));
}

// Factor on the time to learn. `bias` is relative to the return's standard deviation, `critic` is the
// critic's gradient in the trunk relative to the policy's.
export function slowdown(bias = 0, critic = 0) {
  const head = 1 + bias ** 2;
  return Math.sqrt(Math.sqrt(head) * Math.sqrt(head + critic ** 2));
}

// An LSTM's unit whose parameters have all moved by a displacement in the direction that raises it:
// the means over a trial's steps of its output |h| and of the derivative 1 - h².
function displacedUnit(displacement, hiddenSize, trialLength) {
  let hidden = 0;
  let cell = 0;
  let output = 0;
  let gain = 0;
  for (let step = 0; step < trialLength; step++) {
    const stimulus = step === 0 || step === trialLength - 1 ? 1 : 0;
    const drive = displacement * (2 + stimulus + hiddenSize * hidden); // 2 biases, input, recurrence
    const gate = 1 / (1 + Math.exp(-drive));
    cell = gate * (cell + Math.tanh(drive));
    hidden = gate * Math.tanh(cell);
    output += hidden / trialLength;
    gain += (1 - hidden ** 2) / trialLength;
  }
  return { output, gain };
}

// Predicted time to learn relative to that with a light detached critic that starts at the mean
// return. The critic's output climbs from its start to the mean return: RMSprop moves the weights of
// its head, by `head` each, and the parameters of the trunk, by `trunk` each.
export function climbSlowdown({
  steps,
  weight,
  start,
  trialLength,
  learningRate,
  hiddenSize,
  reward,
  attached,
}) {
  const trials = steps / trialLength;
  const bias = attached ? criticBias(steps, startEntropy(trialLength), weight) : 0;
  const spread = reward * Math.sqrt(valueFloor(SUCCESS, trials));
  const distance = Math.abs(meanReturn(SUCCESS, trials, reward) + bias - start);
  const initial = 1 / Math.sqrt(3 * hiddenSize); // r.m.s. of the head's initial weights
  // Variance of an episode's mean return, and the sum over its steps of the scores' squares.
  const variance =
    (reward ** 2 * SUCCESS * (1 - SUCCESS) * (trials + 1) * (2 * trials + 1)) / (6 * trials);
  const scores = ((steps - trials) * 2) / 3 + trials / 2;
  let head = 0;
  let trunk = 0;
  let headSquare = 0; // running means of the squared gradients
  let trunkSquare = 0;
  for (let episode = 0; episode < ARRIVED; episode++) {
    const size = initial + head;
    const climbed = head + hiddenSize * size * displacedUnit(trunk, hiddenSize, trialLength).output;
    const remaining = distance - climbed;
    const square = remaining ** 2 + variance;
    const gradient = 2 * weight * size;
    headSquare += (1 - SMOOTHING) * (square - headSquare);
    const policy = scores * initial ** 2 * (remaining ** 2 + spread ** 2);
    trunkSquare += (1 - SMOOTHING) * (gradient ** 2 * square + policy - trunkSquare);
    head += (learningRate * remaining) / Math.sqrt(headSquare);
    trunk += (learningRate * gradient * remaining) / Math.sqrt(trunkSquare);
  }
  const growth = 1 + head / initial;
  const share =
    (SHARE * growth ** 2 * 2 * weight * Math.sqrt(variance)) / (Math.sqrt(scores) * spread);
  return slowdown(bias / spread, share) / displacedUnit(trunk, hiddenSize, trialLength).gain;
}
