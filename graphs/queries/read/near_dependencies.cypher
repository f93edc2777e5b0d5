// What lies within HOPS dependencies of $names, or CALLERS against them, and the dependencies among it at $at.
CALL {
  MATCH (s:RcaComponent {tenant: $tenant}) WHERE s.name IN $names
  MATCH p = (s)-[:DEPENDS_ON*0..HOPS]->(n)
  WHERE all(d IN relationships(p) WHERE d.valid_from <= $at AND $at < d.valid_to)
  RETURN DISTINCT n
  UNION
  MATCH (s:RcaComponent {tenant: $tenant}) WHERE s.name IN $names
  MATCH p = (s)<-[:DEPENDS_ON*0..CALLERS]-(n)
  WHERE all(d IN relationships(p) WHERE d.valid_from <= $at AND $at < d.valid_to)
  RETURN DISTINCT n
}
WITH collect(n) AS near
CALL {
  WITH near
  UNWIND near AS a
  MATCH (a)-[d:DEPENDS_ON]->(b)
  WHERE d.valid_from <= $at AND $at < d.valid_to AND b IN near
  WITH a, d.source AS source, d.valid_from AS valid_from, d.valid_to AS valid_to, d.last_seen AS last_seen,
       d.confidence AS confidence, collect(b.name) AS callees, collect(d.weight) AS weights
  RETURN collect([a.name, source, valid_from, valid_to, last_seen, confidence, callees, weights]) AS rows
}
RETURN [n IN near | n.name] AS names, rows
