// What is known of the rollups, kept up to date by the node's events.

export const ATTESTATIONS = 100;

export class State {
  rollups = new Map();
  rounds = [];
  // Whether the instance works on rounds, and how far the verifiers beside it are.
  node = { leads: true, verifiers: [] };
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
        const attestations = known?.attestations ?? new Map();
        return [view.rollup, { ...view, alerts, attestations, meanwhile: [] }];
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

  // What was asked for when `known` was new: alerts that were withdrawn are no part of a snapshot. Events
  // that came meanwhile may say more than the answer, and no less: they are taken once more.
  history(known, attestations, alerts) {
    if (this.rollups.get(known.rollup) !== known) return;
    for (const attestation of attestations) this.attested(attestation);
    known.alerts = new Map(alerts.map((alert) => [alert.digest, alert]));
    const { meanwhile } = known;
    known.meanwhile = null;
    for (const event of meanwhile) this.apply(event);
  }

  apply(event) {
    const known = this.rollups.get(event.rollup);
    known?.meanwhile?.push(event);
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
      case "unconfirmed": {
        const of = event.isAlert ? known?.alerts : known?.attestations;
        const statement = of?.get(event.digest);
        if (statement) of.set(event.digest, { ...statement, confirmation: undefined });
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

export const rollupOf = (round) => round.statement.rollupChainId;
