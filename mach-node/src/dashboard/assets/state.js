// What is known of the rollups, kept up to date by the node's events.

export const ATTESTATIONS = 100;

export class State {
  rollups = new Map();
  rounds = [];
  // Bundles of evidence, by the digest of the alert.
  evidence = new Map();

  // Whatever was known is replaced.
  snapshot(rollups) {
    const before = this.rollups;
    this.rollups = new Map(
      rollups.map((view) => {
        const known = before.get(view.rollup);
        const alerts = new Map(known?.alerts ?? []);
        for (const alert of view.alerts) alerts.set(alert.digest, alert);
        return [view.rollup, { ...view, alerts, attestations: known?.attestations ?? new Map() }];
      }),
    );
  }

  attested(attestation) {
    const { attestations } = this.rollups.get(attestation.rollup) ?? {};
    if (!attestations) return;
    attestations.set(attestation.digest, attestation);
    if (attestations.size > ATTESTATIONS) {
      const lowest = [...attestations.values()].sort((a, b) => a.block.number - b.block.number)[0];
      attestations.delete(lowest.digest);
    }
  }

  // Those that were withdrawn are no part of a snapshot.
  history(rollup, attestations, alerts) {
    const known = this.rollups.get(rollup);
    if (!known) return;
    for (const attestation of attestations) this.attested(attestation);
    known.alerts = new Map(alerts.map((alert) => [alert.digest, alert]));
  }

  apply(event) {
    const known = this.rollups.get(event.rollup);
    switch (event.type) {
      case "snapshot":
        return this.snapshot(event.rollups);
      case "attested":
        return this.attested(event);
      case "alerted":
        return known?.alerts.set(event.digest, event);
      case "confirmed": {
        const of = event.isAlert ? known?.alerts : known?.attestations;
        const statement = of?.get(event.digest);
        if (statement) of.set(event.digest, { ...statement, confirmation: event.confirmation });
        return;
      }
      case "resolved": {
        const alert = known?.alerts.get(event.digest);
        if (alert) known.alerts.set(event.digest, { ...alert, isResolved: true });
        return;
      }
      case "head":
        if (known) {
          const { seen, finalizedByStake, confirmed } = event;
          known.heads = { seen, finalizedByStake, confirmed };
        }
    }
  }
}

const statementBlock = (round) => round.statement.block;

export const rollupOf = (round) => round.statement.rollupChainId;

// Why an operator is absent from a round, as far as the other rounds show it.
export function absence(operator, round, rounds) {
  const others = rounds.filter(
    (other) => other.digest !== round.digest && rollupOf(other) === rollupOf(round),
  );
  const signed = others.filter((other) => other.signers.includes(operator));
  const height = statementBlock(round).number;
  const contrary = signed.find((other) => statementBlock(other).number === height);
  if (contrary) {
    const what = contrary.statement.type === "alert" ? "an alert against" : "an attestation of";
    return `signed ${what} block ${height} (${statementBlock(contrary).hash.slice(0, 10)}…) instead`;
  }
  const newest = Math.max(...signed.map((other) => statementBlock(other).number), -1);
  if (newest > height) return `signed later blocks, up to ${newest}: skipped or refused this one`;
  if (newest >= 0) return `signed up to block ${newest}: is behind`;
  return "signed nothing in the rounds that are open: away, or not following this rollup";
}
