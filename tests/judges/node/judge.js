// What the scripts here share: features are registered, run one by one, and told as JSON lines.
'use strict';

const features = [];

/** Registers a function that shows one feature; it fails by an exception. */
function feature(name, show) {
  features.push([name, show]);
}

/**
 * Tells the client's version, then runs every feature, whatever became of the others.
 * With names as arguments, runs only these.
 */
async function run(version) {
  tell({ version });
  const only = process.argv.slice(2);
  for (const [name, show] of features) {
    if (only.length > 0 && !only.includes(name)) continue;
    try {
      await within(60_000, show());
      tell({ feature: name, ok: true });
    } catch (error) {
      const detail = error instanceof AggregateError ? error.errors.map(String).join('; ') : '';
      tell({ feature: name, ok: false, detail: `${error.stack ?? error} ${detail}` });
    }
  }
}

function tell(line) {
  process.stdout.write(JSON.stringify(line) + '\n');
}

function within(milliseconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

module.exports = { feature, run };
