/** A worker of scripts/cuda whose jobs end as their names say. */
import type { CaseJob } from '../../scripts/cuda/jobs.js';
import type { Answer } from '../../scripts/cuda/worker.js';

let isBroken = false;

process.on('message', ({ name, lowering, opset, asked }: CaseJob) => {
  if (name === 'crashes') {
    console.error('illegal memory access');
    process.kill(process.pid, 'SIGKILL');
  }
  // Without using the processor.
  if (name === 'hangs') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  if (name === 'is ended') process.kill(process.pid, 'SIGTERM');
  isBroken ||= name === 'breaks the device';
  const outcome = isBroken ? 'failed' : 'passed';
  const row = { name, lowering, opset, asked, ranAs: null, outcome, error: null } as const;
  const own = { libraries: [`lib${name}.so`], packages: {}, environment: { PID: String(process.pid) } };
  process.send!({ row, spoiled: isBroken, process: own } satisfies Answer);
});
