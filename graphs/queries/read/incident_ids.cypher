// $since, $until
MATCH (i:RcaIncident {tenant: $tenant})
WHERE i.start >= $since AND i.start < $until
RETURN i.id AS id, i.start AS start
