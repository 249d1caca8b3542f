// The latest rejects: what could not be used, where, and why.

import { useEffect, useState } from "preact/hooks";
import { get } from "./api";
import { age, moment, words } from "./format";
import type { Reject, Status } from "./types";

const SHOWN = 8;

export function Rejects({ status, nowMs }: { status: Status; nowMs: number }) {
  const [rejects, setRejects] = useState<Reject[]>([]);
  const refused = Object.values(status.sinks).reduce((sum, sink) => sum + sink.rejected, 0);
  const known = `${status.journal.rejects} ${status.intake.rejected} ${refused}`;

  // Asked for again when there are others than before.
  useEffect(() => {
    const abort = new AbortController();
    get<{ rejects: Reject[] }>(`/api/v1/rejects?limit=${SHOWN}`, abort.signal)
      .then((found) => setRejects(found.rejects))
      .catch(() => undefined);
    return () => abort.abort();
  }, [known]);

  return (
    <section class="rejects card" aria-labelledby="rejects">
      <h2 id="rejects">Latest rejects</h2>
      {rejects.length === 0 ? <p class="empty">Everything received so far could be used.</p> : null}
      <ul>
        {rejects.map((reject) => (
          <li key={reject.id}>
            <div>
              <b>{words(reject.reason)}</b>
              <span title={moment(reject.at_ms)}>{age(nowMs - reject.at_ms)}</span>
            </div>
            <p>
              {reject.sink ? `refused by ${reject.sink}` : `from ${reject.source}`}
              {reject.place ? `, ${reject.place}` : ""}
            </p>
            {reject.excerpt ? <code>{reject.excerpt.replaceAll('\\"', '"')}</code> : null}
          </li>
        ))}
      </ul>
      {rejects.length ? <p class="note">`iiot-gateway rejects` shows all of them; `rejects retry` offers them again.</p> : null}
    </section>
  );
}
