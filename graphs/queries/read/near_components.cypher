// Claims that hold at $at about the components $names and about replicas of them; names of equal facts together.
CALL {
  UNWIND $names AS name
  MATCH (:RcaComponent {tenant: $tenant, name: name})-[:HAS_FACTS]->(f)
  RETURN f
  UNION
  UNWIND $names AS name
  MATCH (f:RcaFacts {tenant: $tenant, replica_of: name})
  RETURN f
}
WITH f WHERE f.valid_from <= $at AND $at < f.valid_to
WITH [f.source, f.valid_from, f.valid_to, f.last_seen, f.confidence, f.kind, f.host, f.replica_of, f.team,
      f.attributes] AS facts, collect(f.component) AS components
RETURN collect([components, facts]) AS rows
