// Claims about components that hold at $at ($later: or begin after it), of $source ('': of all).
// Names of equal facts come together.
MATCH (f:RcaFacts {tenant: $tenant})
WHERE f.valid_to > $at AND ($later OR f.valid_from <= $at) AND ($source = '' OR f.source = $source)
WITH [f.source, f.valid_from, f.valid_to, f.last_seen, f.confidence, f.kind, f.host, f.replica_of, f.team,
      f.attributes] AS facts, collect(f.component) AS components
RETURN collect([components, facts]) AS rows
