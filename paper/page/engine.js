/* The fused engine in JavaScript: trains runs with `engine.wasm`, with the bits of native code.

    const engine = await loadEngine(bytes);   // a Uint8Array, or a string in base64
    engine.supports(config)                   // null, or why this run cannot be trained here
    const {history, parameters, digest} = await engine.train(config, {onWindow, signal});

`config` is a run's identity (`pwm.runs.fields.identity`): nested objects, in which whatever is left
out has its default; for instance {critic_weight: 3, seed: 7, loss: {baseline: "detached"}}. One
call trains one run; its bits do not depend on what else is trained.

    history     {episode: [K], reward: Float32Array(K), value_loss, policy_loss, entropy,
                critic_bias}: as `pwm.training.history.History`
    parameters  Float32Array(P), as trained
    digest      16 hexadecimal digits: the published digest (`pwm.runs.digests`)
    onWindow    called after each window, numbered from 0, as (window, {episode, reward, ...})
    signal      of an AbortController; training then rejects with `signal.reason`, within a slice

Every `SLICE` milliseconds, training lets other events happen. It throws an Error that names an
option if this does not exist, or cannot have its value. Loaded as a classic script, also in a worker,
this file defines `loadEngine`; in node, `require` returns it as a property.

The compiled code comes from `pwm/fused`. What `pwm/fused/engine.py` prepares for it in Python is
prepared here in JavaScript, under the same names; the module says where in memory it belongs.
*/
"use strict";

const loadEngine = (() => {
  const SLICE = 20; // milliseconds
  const EPISODES = 32; // trained by one call of compiled code; affects speed only
  const ALIGNMENT = 64, PAGE = 65536; // bytes
  const NOT_A_NUMBER = 0x7fc00000; // the bits of NumPy's NaN; others are NaN too
  const LN3 = 1.0986122886681098;
  const ARRAYS = {
    float32: Float32Array, float64: Float64Array, int64: BigInt64Array, uint64: BigUint64Array, bool: Uint8Array,
  };
  // Least values of options that are numbers; those in `ABOVE` must be larger than that.
  const LEAST = {
    trial_length: 2, episode_length: 1, hold_reward: 0, reward: 0, hidden_size: 1, discount: 0,
    entropy_weight: 0, optimism: 0, tracking_rate: 0, clip_gradient: 0, critic_weight: 0,
    learning_rate: 0, trunk_rate: 0, num_episodes: 1, log_every: 1, probe_episodes: 0, seed: 0,
    square_decay: 0, momentum_decay: 0, epsilon: 1e-38, episodes_per_update: 1, trace_decay: 0,
  };
  const ABOVE = ["reward", "tracking_rate", "learning_rate", "trunk_rate"];
  const MOST = {
    discount: 1, tracking_rate: 1, trace_decay: 1, square_decay: 0.999999, momentum_decay: 0.999999,
    seed: Number.MAX_SAFE_INTEGER,
  };
  const INTEGERS = [
    "trial_length", "episode_length", "hidden_size", "num_episodes", "log_every", "probe_episodes",
    "episodes_per_update", "seed",
  ];
  const LARGEST = 1e38;
  // Other options that are known here. One that is new in Python must have its default until it is
  // listed.
  const OTHERS = [
    "stimulus_set", "timeout", "carry_state", "separate_trunks", "baseline", "policy_reduction",
    "lost_gradients", "returns", "return_horizon", "balance", "normalise_advantages", "value_loss",
    "leaking_targets", "optimizer", "critic_start", "probe_at",
  ];

  // Options

  /* The configuration with defaults for all that is left out; throws if an option is wrong. */
  function complete(about, config, defaults = about.defaults) {
    for (const name of Object.keys(config)) {
      if (!Object.hasOwn(defaults, name)) throw new Error(`${name}: there is no such option`);
    }
    const full = {};
    for (const [name, byDefault] of Object.entries(defaults)) {
      const isGroup =
        byDefault !== null && typeof byDefault === "object" && !Array.isArray(byDefault);
      if (isGroup) {
        full[name] = complete(about, config[name] ?? {}, byDefault);
      } else {
        full[name] = name in config ? config[name] : byDefault;
        check(about, name, full[name], byDefault);
      }
    }
    return full;
  }

  /* Throws if an option cannot have a value. */
  function check(about, name, value, byDefault) {
    const refuse = (accepted) => {
      throw new Error(`${name} ${JSON.stringify(value)}: expected ${accepted}`);
    };
    if (!(name in LEAST) && !OTHERS.includes(name)) {
      if (value !== byDefault) refuse(`${byDefault}, as the page does not know this option`);
    } else if (name in about.words) {
      if (!about.words[name].includes(value)) refuse(`one of ${about.words[name].join(", ")}`);
    } else if (name === "critic_start") {
      if (value !== "mean" && value !== "fixed-point" && !(Math.abs(value) <= LARGEST)) {
        refuse("a number, mean or fixed-point");
      }
    } else if (Array.isArray(byDefault)) {
      if (!Array.isArray(value)) refuse("a list");
    } else if (typeof value !== typeof byDefault) {
      refuse(`a ${typeof byDefault}`);
    } else if (typeof value === "number") {
      const least = LEAST[name] ?? -LARGEST, most = MOST[name] ?? LARGEST;
      const above = ABOVE.includes(name) ? value > least : value >= least;
      if (INTEGERS.includes(name) && !Number.isInteger(value)) refuse("an integer");
      if (!above || !(value <= most)) {
        refuse(`a number ${ABOVE.includes(name) ? "above" : "from"} ${least} and up to ${most}`);
      }
    }
  }

  /* Why options that are right by themselves do not go together, or null. */
  function conflict({ task, loss, ...config }) {
    const popart = loss.balance === "popart", uncertainty = loss.balance === "uncertainty";
    const problems = {
      "probe_episodes: gradients are not measured here": config.probe_episodes,
      "episode_length: expected at least one whole trial": task.episode_length < task.trial_length,
      "num_episodes: expected a multiple of episodes_per_update":
        config.num_episodes % config.episodes_per_update,
      "optimizer: expected rmsprop with uncertainty": uncertainty && config.optimizer !== "rmsprop",
      "value_loss: expected squared with uncertainty": uncertainty && loss.value_loss !== "squared",
      "returns: expected raw with popart": popart && loss.returns !== "raw",
      "leaking_targets: expected false with a detached baseline":
        loss.leaking_targets && loss.baseline === "detached",
    };
    return Object.keys(problems).find((problem) => problems[problem]) ?? null;
  }

  // The task

  /* The task as in `pwm.core.task`: sizes of an episode, and the tables of `TaskTables`. */
  function describeTask(about, task, carryState) {
    const actions = about.constants.actions;
    const pairs = about.stimulus_sets[task.stimulus_set].map((letters) =>
      [...letters].map((letter) => letter.charCodeAt(0) - "A".charCodeAt(0)));
    const stimuli = Math.max(...pairs.flat()) + 1;
    const length = task.trial_length;
    const trials = Math.floor(task.episode_length / length);
    const blank = Array(length).fill(stimuli); // no stimulus at any step
    const shown = [
      ...pairs.map(([first, second]) => {
        const trial = [...blank];
        trial[0] = first;
        trial[length - 1] = second;
        return trial;
      }),
      blank,
    ];
    const rewards = shown.map((trial, pair) =>
      trial.map((_, step) => actions.map((action) => {
        if (pair === pairs.length) return 0;
        if (step < length - 1) return action === "hold" ? task.hold_reward : 0;
        const [first, second] = pairs[pair];
        return action === (first < second ? "right" : "left") ? task.reward : 0;
      })));
    // A node is a distinct beginning of a trial; they are numbered in order of step.
    const numbers = new Map();
    const node = shown.map(() => Array(length));
    const nodeParent = [], nodeShown = [], levelEnd = [];
    for (let step = 0; step < length; step++) {
      shown.forEach((trial, pair) => {
        const parent = step ? node[pair][step - 1] : -1;
        const beginning = `${parent} ${trial[step]}`;
        if (!numbers.has(beginning)) {
          numbers.set(beginning, numbers.size);
          nodeParent.push(parent);
          nodeShown.push(trial[step]);
        }
        node[pair][step] = numbers.get(beginning);
      });
      levelEnd.push(numbers.size);
    }
    const tables = {
      node, level_end: levelEnd, node_parent: nodeParent, node_shown: nodeShown, rewards,
      carry_state: carryState, timeout: task.timeout,
    };
    const nodes = nodeParent.length;
    return { pairs: pairs.length, stimuli, length, trials, steps: trials * length, nodes, tables };
  }

  // The agent

  /* The agent as in `pwm.training.parameters.Layout`: sizes, and the parts of a vector of parameters. */
  function describeAgent({ constants }, config, stimuli) {
    const roundUp = (number, multiple) => Math.ceil(number / multiple) * multiple;
    const trunks = config.separate_trunks ? 2 : 1;
    const units = config.hidden_size, padded = roundUp(units, constants.unit_multiple);
    // Rows, blocks and columns, without and with padding, in the order of initial draws.
    const shapes = (size) => ({
      input_weight: [stimuli, constants.gates, size],
      recurrent_weight: [size, constants.gates, size],
      input_bias: [1, constants.gates, size],
      recurrent_bias: [1, constants.gates, size],
      head_weight: [size, 1, constants.outputs],
      head_bias: [1, 1, constants.outputs],
    });
    const inner = shapes(units), parts = [];
    let start = 0, draws = 0, trunkSize = 0;
    for (const [name, outer] of Object.entries(shapes(padded))) {
      if (name === "head_weight") trunkSize = start;
      parts.push({ name, start, outer, inner: inner[name] });
      start += trunks * product(outer);
      draws += trunks * product(inner[name]);
    }
    const size = roundUp(start, constants.vector_multiple);
    return { trunks, units, padded, parts, draws, size, trunkSize };
  }

  const product = (numbers) => numbers.reduce((one, other) => one * other, 1);

  /* Initial parameters from uniform draws, as of `Layout.initial_parameters` and `pwm.training.start`;
     `start` is the value that the critic starts at. */
  function initialParameters({ constants }, agent, uniform, start) {
    const parameters = new Float32Array(agent.size);
    const scale = Math.fround(1 / Math.sqrt(agent.units));
    let drawn = 0;
    for (const part of agent.parts) {
      const [rows, blocks, columns] = part.inner;
      for (let trunk = 0; trunk < agent.trunks; trunk++) {
        for (let row = 0; row < rows; row++) {
          for (let block = 0; block < blocks; block++) {
            const inTrunk = (trunk * part.outer[0] + row) * blocks + block;
            for (let column = 0; column < columns; column++) {
              const place = part.start + inTrunk * part.outer[2] + column;
              parameters[place] = (2 * uniform[drawn++] - 1) * scale;
            }
          }
        }
      }
    }
    const headBias = agent.parts.find((part) => part.name === "head_bias").start;
    const place = headBias + (agent.trunks - 1) * constants.outputs + constants.value;
    parameters[place] += Math.fround(start);
    return parameters;
  }

  /* Whether the policy loss's gradient reaches the value head, as `LossConfig.leaks_into_head`. */
  const leaksIntoHead = (loss) =>
    ["attached", "attached_head"].includes(loss.baseline) && loss.lost_gradients !== "values";

  /* The value that the critic starts at, as `pwm.training.start.critic_start`. */
  function criticStart(config, task) {
    const { critic_start: start, critic_weight: weight, loss } = config;
    if (typeof start === "number") return start;
    const mean = loss.returns === "raw" ? meanReturn(config, task) : 0;
    if (start === "mean" || !leaksIntoHead(loss)) return mean;
    const entropy = ((task.length - 1) * LN3 + Math.LN2) / task.length;
    const temperature = (loss.policy_reduction === "sum" ? task.steps : 1) / (2 * weight);
    return mean + temperature * entropy;
  }

  /* Mean return over an episode's steps if half of the trials are rewarded; exact only if
     `startProblem` finds nothing. */
  function meanReturn({ task: { reward }, loss }, { trials, length, steps }) {
    if (loss.return_horizon === "trial") return Math.fround(reward / 2);
    return Math.fround(((reward / 2) * length * trials * (trials + 1)) / 2 / steps);
  }

  /* Why `pwm.training.start` has no such start, or may round it differently from here, or null. */
  function startProblem({ critic_start: start, critic_weight: weight, loss, task }) {
    if (typeof start === "number") return null;
    if (start === "fixed-point" && leaksIntoHead(loss)) {
      if (weight === 0) return "critic_start fixed-point needs a critic_weight above 0";
      if (loss.trace_decay !== 1) return "critic_start fixed-point needs a trace_decay of 1";
    }
    const exact = loss.discount === 1 && Number.isInteger(task.reward * 8) && task.reward <= 1024;
    if (loss.returns === "raw" && !exact) {
      return `critic_start ${start} is computed here only for a discount of 1 and a reward that ` +
        "is a multiple of 1/8";
    }
    return null;
  }

  // Losses and optimiser

  /* Settings of losses and optimiser for compiled code, as `pwm.fused.engine.update_rule`. */
  function updateRule({ constants }, config, task, agent) {
    const { loss } = config, popart = loss.balance === "popart";
    return {
      leak_into_trunk: ["attached", "attached_trunk"].includes(loss.baseline),
      leak_into_head: ["attached", "attached_head"].includes(loss.baseline),
      values_kept: loss.lost_gradients !== "values",
      log_probs_kept: loss.lost_gradients !== "log_probs",
      optimism: loss.optimism,
      policy_factor: loss.policy_reduction === "sum" ? 1 : 1 / task.steps,
      discount: loss.discount,
      entropy_weight: loss.entropy_weight,
      horizon: loss.return_horizon === "trial" ? task.length : task.steps,
      trace_decay: loss.trace_decay,
      leaking_targets: loss.leaking_targets,
      optimizer: constants.optimizers.indexOf(config.optimizer),
      square_decay: config.square_decay,
      momentum_decay: config.momentum_decay,
      epsilon: config.epsilon,
      episodes_per_update: config.episodes_per_update,
      huber: loss.value_loss === "huber",
      balance: constants.balances.indexOf(loss.balance),
      takes_apart: ["stop-trunk", "per-loss", "equal", "pcgrad"].includes(loss.balance),
      tracks: loss.returns !== "raw" || ["popart", "return-scale"].includes(loss.balance),
      centred: loss.returns !== "raw" || popart,
      standardised: loss.returns === "standardised" || popart,
      normalise_advantages: loss.normalise_advantages,
      normaliser: constants.normaliser,
      clip_gradient: loss.clip_gradient,
      clip_epsilon: constants.clip_epsilon,
      rate: loss.tracking_rate,
      least_scale: constants.least_scale,
      trunk_rate: config.trunk_rate,
      trunk_size: agent.trunkSize,
    };
  }

  /* Shapes of the arrays of `pwm.fused.buffers.Work`, as in `pwm.fused.engine`. */
  function workShapes({ constants }, config, task, agent) {
    const { trunks: K, padded: H } = agent, { steps: T, nodes, stimuli: S } = task;
    const G = constants.gates * H, outputs = constants.outputs, actions = constants.actions.length;
    const rows = 1 + (config.agent.carry_state ? T : nodes), padded = rows + constants.lanes;
    return {
      projected: [K, S + 1, G], head_transposed: [K, outputs, H],
      parent: [rows], shown: [rows], row_of_node: [nodes], level_start: [rows + 1],
      previous: [K, rows, H], gates: [K, rows, G], cell: [K, rows, H], cell_tanh: [K, rows, H],
      hidden: [K, rows, H], heads: [K, padded, outputs],
      log_policy: [actions, padded], policy: [actions, padded], cumulative: [actions, padded],
      entropy: [padded],
      by_gates: [rows, G], by_cell: [rows, H], by_hidden: [rows, H],
      by_previous: [rows, H], by_heads: [K, rows, outputs], by_log_policy: [actions, rows],
      by_value: [rows], by_head_value: [rows], by_projected: [S + 1, G],
      by_head_transposed: [outputs, H], gradients: [2, agent.size], gradient: [agent.size],
      return_: [T], error: [T], advantage: [T], leak: [T], visits: [rows],
      row: [T], action: [T], reward: [T],
    };
  }

  // Memory of compiled code

  /* An instance of the WebAssembly module with memory of its own, which only grows; one per run. */
  class Machine {
    constructor(module, about) {
      this.exports = new WebAssembly.Instance(module, {}).exports;
      this.functions = about.functions;
      this.end = this.exports.__heap_base.value;
    }

    /* The address of so many bytes, all zero. */
    allocate(bytes) {
      const start = Math.ceil(this.end / ALIGNMENT) * ALIGNMENT;
      this.end = start + bytes;
      const { memory } = this.exports;
      const missing = Math.ceil((this.end - memory.buffer.byteLength) / PAGE);
      if (missing > 0) memory.grow(missing);
      return start;
    }

    /* A new array of a NumPy type and a shape, with these values or zeros: {type, shape, start}. */
    array(type, shape, values) {
      const start = this.allocate(ARRAYS[type].BYTES_PER_ELEMENT * product(shape));
      const array = { type, shape, start };
      if (values) this.numbers(array).set(type.includes("int") ? values.map(BigInt) : values);
      return array;
    }

    /* The elements of an array as a typed array, which is valid until memory grows. */
    numbers({ type, shape, start }) {
      return new ARRAYS[type](this.exports.memory.buffer, start, product(shape));
    }

    /* A function that calls the compiled function with that name and these arguments by name; each
       call may change some of them. */
    prepare(name, values) {
      const { size, arguments: places } = this.functions[name];
      const start = this.allocate(size);
      const write = (argument, value) =>
        this.write(start, places[argument], value, `${name}.${argument}`);
      for (const argument of Object.keys(places)) write(argument, values[argument]);
      return (changes = {}) => {
        for (const [argument, value] of Object.entries(changes)) write(argument, value);
        if (this.exports[name](start)) throw new Error(`${name} failed`);
      };
    }

    /* Writes an argument into the struct at `start`; `place` is its entry in the table of
       `pwm.page.calls`, `name` is for messages. */
    write(start, place, value, name) {
      const view = new DataView(this.exports.memory.buffer, start);
      const integer = (at, number) => view.setBigInt64(at, BigInt(number), true);
      if (value === undefined) throw new Error(`engine.js has no ${name}; engine.wasm needs it`);
      if ("data" in place) {
        const { type, shape, start: data } = value;
        if (type !== place.type || shape.length !== place.axes) {
          throw new Error(`${name}: engine.js has ${type} [${shape}]; not so engine.wasm`);
        }
        const size = ARRAYS[type].BYTES_PER_ELEMENT;
        integer(place.nitems, product(shape));
        integer(place.itemsize, size);
        view.setUint32(place.data, data, true);
        shape.forEach((length, axis) => {
          integer(place.shape + 8 * axis, length);
          integer(place.strides + 8 * axis, size * product(shape.slice(axis + 1)));
        });
      } else if (!("at" in place)) {
        for (const inner of Object.keys(place)) {
          this.write(start, place[inner], value[inner], `${name}.${inner}`);
        }
        const unknown = Object.keys(value).find((inner) => !(inner in place));
        if (unknown) throw new Error(`engine.wasm has no ${name}.${unknown}`);
      } else if (place.type === "float32") {
        view.setFloat32(place.at, value, true);
      } else if (place.type === "int64") {
        integer(place.at, value);
      } else if (place.type === "bool") {
        view.setUint8(place.at, value ? 1 : 0);
      } else {
        throw new Error(`${name}: engine.js knows no ${place.type}`);
      }
    }
  }

  // Random streams

  /* The key of the random stream of a seed and a name, as in `pwm.training.streams.Streams`. */
  function streamKey(machine, pool, seed, name) {
    const words = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
    while (words.length < pool) words.push(0);
    words.push(...new TextEncoder().encode(name));
    const key = machine.array("uint64", [2]);
    machine.prepare("make_key", {
      entropy: machine.array("uint64", [words.length], words),
      pool: machine.array("uint64", [pool]),
      key,
    })();
    return key;
  }

  // Training

  /* The arrays of `pwm.fused.buffers.Population` for one replica with these parameters. */
  function makePopulation(machine, { constants }, config, parameters) {
    const memories = [1, config.loss.balance === "per-loss" ? 2 : 1, parameters.length];
    const adam = config.optimizer === "adam";
    return {
      critic_weights: machine.array("float32", [1], [config.critic_weight]),
      learning_rates: machine.array("float32", [1], [config.learning_rate]),
      parameters: machine.array("float32", [1, parameters.length], parameters),
      square_average: machine.array("float32", memories),
      average: machine.array("float32", adam ? memories : [0, 0, 0]),
      decay_powers: machine.array("float64", [adam ? 1 : 0, 2], adam ? [1, 1] : []),
      tracked: machine.array("float32", [1, constants.tracked]),
    };
  }

  /* A run in training, with the history of `pwm.training.trainer.Trainer`. */
  class Run {
    constructor(module, about, config) {
      const machine = (this.machine = new Machine(module, about));
      const { pool, metrics } = about.constants;
      const task = (this.task = describeTask(about, config.task, config.agent.carry_state));
      const agent = describeAgent(about, config.agent, task.stimuli);
      this.config = config;
      this.metrics = metrics;
      this.done = 0; // episodes
      this.sums = new Float64Array(metrics.length); // of the unfinished window
      this.history = { episode: [], ...Object.fromEntries(metrics.map((name) => [name, []])) };
      const key = (name) => streamKey(machine, pool, config.seed, name);
      const uniform = machine.array("float32", [agent.draws]);
      machine.prepare("draw_uniform", { key: key("initialisation"), first: 0, out: uniform })();
      const parameters = initialParameters(
        about, agent, machine.numbers(uniform), criticStart(config, task));
      this.keys = { trials: key("trials"), noise: key("actions") };
      const population = makePopulation(machine, about, config, parameters);
      this.parameters = population.parameters;
      const places = about.functions.train.arguments;
      const shapes = workShapes(about, config, task, agent);
      const work = mapped(shapes, (shape, name) => machine.array(places.work[name].type, shape));
      const tables = mapped(task.tables, (values, name) => {
        if (!Array.isArray(values)) return values;
        return machine.array(places.task[name].type, shapeOf(values), values.flat(Infinity));
      });
      const rule = updateRule(about, config, task, agent);
      this.arguments = { task: tables, rule, population, work };
      this.chunks = new Map(); // the functions of `chunk` by number of episodes
    }

    /* A function that trains the next `count` episodes and returns their metrics, episode after
       episode. */
    chunk(count) {
      const { machine, task, metrics } = this;
      const pairs = machine.array("int64", [count * task.trials]);
      const uniform = machine.array("float32", [count * task.steps]);
      const measured = machine.array("float32", [count, 1, metrics.length]);
      const drawTrials = machine.prepare("draw_index", {
        key: this.keys.trials, first: 0, size: task.pairs, out: pairs,
      });
      const drawNoise = machine.prepare("draw_uniform", {
        key: this.keys.noise, first: 0, out: uniform,
      });
      const episodes = {
        trials: { ...pairs, shape: [count, 1, task.trials] },
        noise: { ...uniform, shape: [count, 1, task.trials, task.length] },
        metrics: measured,
      };
      const train = machine.prepare("train", { ...this.arguments, episodes });
      return () => {
        drawTrials({ first: this.done * task.trials });
        drawNoise({ first: this.done * task.steps });
        train();
        return machine.numbers(measured);
      };
    }

    get finished() {
      return this.done === this.config.num_episodes;
    }

    /* Trains a few episodes, whole updates; calls `onWindow` after each window. */
    advance(onWindow) {
      const { num_episodes: all, episodes_per_update: batch } = this.config;
      const count = Math.min(Math.max(Math.floor(EPISODES / batch), 1) * batch, all - this.done);
      if (!this.chunks.has(count)) this.chunks.set(count, this.chunk(count));
      const measured = this.chunks.get(count)();
      for (let first = 0; first < measured.length; first += this.sums.length) {
        for (let column = 0; column < this.sums.length; column++) {
          this.sums[column] += measured[first + column];
        }
        this.done++;
        const pending = this.done % this.config.log_every;
        if (!pending || this.finished) this.closeWindow(pending || this.config.log_every, onWindow);
      }
    }

    /* Adds the means over the last window, of some episodes, to the history. */
    closeWindow(episodes, onWindow) {
      const window = { episode: this.done };
      this.metrics.forEach((name, column) => {
        window[name] = Math.fround(this.sums[column] / episodes);
      });
      for (const [name, value] of Object.entries(window)) this.history[name].push(value);
      this.sums.fill(0);
      onWindow(this.history.episode.length - 1, window);
    }

    result() {
      const { episode, ...curves } = this.history;
      const history = { episode, ...mapped(curves, (curve) => Float32Array.from(curve)) };
      const parameters = this.machine.numbers(this.parameters).slice();
      return { history, parameters, digest: digestOf(history, this.metrics) };
    }
  }

  /* An object with each value changed by a function (value, name). */
  const mapped = (object, change) =>
    Object.fromEntries(Object.entries(object).map(([name, each]) => [name, change(each, name)]));

  /* The shape of nested lists. */
  const shapeOf = (nested) =>
    Array.isArray(nested) ? [nested.length, ...shapeOf(nested[0])] : [];

  // Digests

  /* The first 16 hexadecimal digits of a history's SHA-256, as `pwm.runs.digests.digests_of`. */
  function digestOf(history, metrics) {
    const words = []; // of 32 bits, little-endian
    for (const episode of history.episode) words.push(episode, Math.floor(episode / 2 ** 32));
    for (const name of metrics) {
      const curve = history[name], bits = new Uint32Array(curve.buffer);
      curve.forEach((value, window) => words.push(Number.isNaN(value) ? NOT_A_NUMBER : bits[window]));
    }
    const bytes = new DataView(new ArrayBuffer(4 * words.length));
    words.forEach((word, place) => bytes.setUint32(4 * place, word, true));
    return sha256(new Uint8Array(bytes.buffer)).slice(0, 16);
  }

  /* SHA-256 in hexadecimal digits (FIPS 180-4); the browser's own is missing in pages from disk. */
  function sha256(bytes) {
    const rotate = (word, by) => (word >>> by) | (word << (32 - by));
    const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const view = new DataView(padded.buffer);
    view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
    const state = Int32Array.from(INITIAL);
    const words = new Int32Array(64);
    for (let block = 0; block < padded.length; block += 64) {
      for (let i = 0; i < 16; i++) words[i] = view.getInt32(block + 4 * i);
      for (let i = 16; i < 64; i++) {
        const early = words[i - 15], late = words[i - 2];
        const spreadEarly = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
        const spreadLate = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
        words[i] = words[i - 16] + spreadEarly + words[i - 7] + spreadLate;
      }
      let [a, b, c, d, e, f, g, h] = state;
      for (let i = 0; i < 64; i++) {
        const chosen = (e & f) ^ (~e & g), majority = (a & b) ^ (a & c) ^ (b & c);
        const fromE = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        const fromA = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        const one = (h + fromE + chosen + ROUND[i] + words[i]) | 0;
        h = g;
        g = f;
        f = e;
        e = (d + one) | 0;
        d = c;
        c = b;
        b = a;
        a = (one + fromA + majority) | 0;
      }
      [a, b, c, d, e, f, g, h].forEach((word, place) => {
        state[place] += word;
      });
    }
    return [...state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /* SHA-256's constants: the first 32 bits of the fractional parts of the first primes' roots. */
  function rootBits(count, root) {
    const primes = [];
    for (let number = 2; primes.length < count; number++) {
      if (primes.every((prime) => number % prime)) primes.push(number);
    }
    return primes.map((prime) => (root(prime) % 1) * 2 ** 32 | 0);
  }
  const INITIAL = rootBits(8, Math.sqrt), ROUND = rootBits(64, Math.cbrt);

  // The engine

  /* A promise that is kept after other pending events. */
  const pause = () =>
    new Promise((resume) => {
      if (typeof setImmediate === "function") return setImmediate(resume);
      const { port1, port2 } = new MessageChannel(); // setTimeout would wait for 4 ms
      port1.onmessage = () => {
        port1.close();
        resume();
      };
      port2.postMessage(null);
    });

  class Engine {
    constructor(module) {
      const [section] = WebAssembly.Module.customSections(module, "pwm");
      this.module = module;
      this.about = JSON.parse(new TextDecoder().decode(section));
    }

    supports(config) {
      try {
        const full = complete(this.about, config);
        return conflict(full) ?? startProblem(full);
      } catch (error) {
        return error.message;
      }
    }

    async train(config, { onWindow = () => {}, signal } = {}) {
      const problem = this.supports(config);
      if (problem) throw new Error(problem);
      const run = new Run(this.module, this.about, complete(this.about, config));
      while (!run.finished) {
        const started = performance.now();
        do run.advance(onWindow);
        while (!run.finished && performance.now() - started < SLICE);
        await pause();
        signal?.throwIfAborted();
      }
      return run.result();
    }
  }

  return async function loadEngine(bytes) {
    const binary =
      typeof bytes === "string"
        ? Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0))
        : bytes;
    if (!WebAssembly.validate(binary)) {
      throw new Error("This browser is too old: it lacks vectors of 128 bits in WebAssembly.");
    }
    return new Engine(await WebAssembly.compile(binary));
  };
})();

if (typeof module === "object") module.exports = { loadEngine };
