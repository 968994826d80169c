/* The fused engine in JavaScript: trains runs with `engine.wasm`, with the bits of native code.

Interface (see the comments at each):

    const engine = await loadEngine(bytes);   // Uint8Array, or a string in base64
    engine.supports(config)                   // null, or a sentence that says why not
    const {history, digest} = await engine.train(config, {onWindow, episodesPerSlice, signal});

`config` is a run's identity (`pwm.runs.fields.identity`): nested objects, in which whatever is left
out has its default; for instance {critic_weight: 3, seed: 7, loss: {baseline: "detached"}}.
One call trains one run, that of `config.seed`; bits do not depend on what else is trained.

    history   {episode: [K numbers], reward: Float32Array(K), value_loss, policy_loss, entropy,
              critic_bias}
    digest    the published digest, 16 hexadecimal digits: the first 64 bits of the SHA-256
              (`pwm.runs.digests`; in outcomes.npz a uint64)
    onWindow  called as (window, {episode, reward, value_loss, policy_loss, entropy, critic_bias})
              after each window, numbered from 0
    signal    an AbortSignal; training then rejects with signal.reason within a slice
    episodesPerSlice   episodes between two looks at the event loop (default: about 20 ms)

Errors: an option that does not exist, or a value that is not accepted, is an Error whose message
names it. Loaded as a classic script it defines `loadEngine`; in node, `require` returns it.
*/
