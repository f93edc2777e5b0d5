// Components that anybody knows of at $at.
MATCH (f:RcaFacts {tenant: $tenant})
WHERE f.valid_from <= $at AND $at < f.valid_to
RETURN collect(DISTINCT f.component) AS names
