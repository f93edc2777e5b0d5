// How many components incidents reached, by period. $since, $until, $width and $offset of a period in ns
MATCH (i:RcaIncident {tenant: $tenant})
WHERE i.start >= $since AND i.start < $until
WITH i, COUNT { (i)-[:TOUCHED {role: 'blast'}]->() } AS reached
RETURN (i.start - $offset - ((i.start - $offset) % $width + $width) % $width) + $offset AS period, count(i) AS incidents, sum(reached) AS total,
       max(reached) AS largest
