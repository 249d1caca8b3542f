// The radio link of every node: signal, losses, repeats.

import { age, count } from "./format";
import { Sparkline } from "./sparkline";
import type { Link } from "./types";

/** How good a signal is, from 0 to 4 bars: LoRa receives down to about -125 dBm. */
function bars(rssi: number): number {
  return [-120, -110, -95, -80].filter((limit) => rssi >= limit).length;
}

function Signal({ rssi }: { rssi: string | null }) {
  if (rssi === null) return <>–</>;
  const strength = bars(Number(rssi));
  return (
    <span class="signal">
      <svg viewBox="0 0 20 14" role="img" aria-label={`${strength} of 4 bars`}>
        {[0, 1, 2, 3].map((bar) => (
          <rect key={bar} x={bar * 5} y={10 - bar * 3} width="3.5" height={4 + bar * 3} rx="1" class={bar < strength ? "on" : "off"} />
        ))}
      </svg>
      {rssi} dBm
    </span>
  );
}

export function Links({ links, nowMs }: { links: Link[]; nowMs: number }) {
  if (!links.length) return null;
  return (
    <section class="links card" aria-labelledby="links">
      <h2 id="links">Link quality</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Node</th>
              <th>RSSI</th>
              <th class="wide">Course</th>
              <th>SNR</th>
              <th>Received</th>
              <th>Lost on air</th>
              <th>Twice</th>
              <th>Last heard</th>
            </tr>
          </thead>
          <tbody>
            {links.map((link) => {
              const sent = link.received + link.lost_on_air;
              const share = sent > 0 ? (100 * link.lost_on_air) / sent : 0;
              return (
                <tr key={`${link.source} ${link.node}`} data-testid={`link-${link.node}`}>
                  <th scope="row">{link.node}</th>
                  <td data-label="RSSI">
                    <Signal rssi={link.rssi_dbm} />
                  </td>
                  <td class="wide">
                    <Sparkline samples={link.rssi_samples ?? []} label={`RSSI of ${link.node}`} />
                  </td>
                  <td data-label="SNR">{link.snr_db === null ? "–" : `${link.snr_db} dB`}</td>
                  <td data-label="Received">{count(link.received)}</td>
                  <td data-label="Lost on air" class={share > 10 ? "warn" : ""}>
                    {count(link.lost_on_air)} <small>({share.toFixed(1)} %)</small>
                  </td>
                  <td data-label="Twice">{count(link.duplicate)}</td>
                  <td data-label="Last heard">{age(nowMs - link.last_received_at_ms)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      <p class="note">Counted since the gateway started.</p>
    </section>
  );
}
