// Claims about dependencies, grouped by caller and by what they have in common: $at, $later, $source as for components.
MATCH (a:RcaComponent {tenant: $tenant})-[d:DEPENDS_ON]->(b)
WHERE d.valid_to > $at AND ($later OR d.valid_from <= $at) AND ($source = '' OR d.source = $source)
WITH a, d.source AS source, d.valid_from AS valid_from, d.valid_to AS valid_to, d.last_seen AS last_seen,
     d.confidence AS confidence, collect(b.name) AS callees, collect(d.weight) AS weights
RETURN collect([a.name, source, valid_from, valid_to, last_seen, confidence, callees, weights]) AS rows
