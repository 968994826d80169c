// Runs in a worker, after the engine's source: trains the run that it is sent, and sends what comes.
// Messages in: {bytes} first, then {config}. Out: {windows}, {result} or {error}.

const OFTEN = 60; // milliseconds between messages, at least
let loading;

async function trainRun(config) {
  const engine = await loading;
  let windows = [];
  let sent = performance.now();
  const send = () => {
    postMessage({ windows });
    windows = [];
    sent = performance.now();
  };
  const onWindow = (_, window) => {
    windows.push(window);
    if (performance.now() - sent > OFTEN) send();
  };
  const { history, digest } = await engine.train(config, { onWindow });
  send();
  postMessage({ result: { history, digest } });
}

onmessage = async ({ data }) => {
  try {
    if (data.bytes) loading = loadEngine(data.bytes);
    else await trainRun(data.config);
  } catch (error) {
    postMessage({ error: error.message });
  }
};
