// Which of $names anybody knows of at $at.
UNWIND $names AS name
MATCH (:RcaComponent {tenant: $tenant, name: name})-[:HAS_FACTS]->(f)
WHERE f.valid_from <= $at AND $at < f.valid_to
RETURN collect(DISTINCT name) AS names
