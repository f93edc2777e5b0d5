// What lies within HOPS dependencies of $names, or CALLERS against them, at $at.
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
RETURN collect(n.name) AS names
