// Which components cause most incidents. $since, $until (of the incidents' start)
MATCH (i:RcaIncident {tenant: $tenant})
WHERE i.start >= $since AND i.start < $until
WITH i, COLLECT { MATCH (f:RcaFeedback)-[:ABOUT]->(i) WHERE f.verdict <> 'note'
               RETURN f ORDER BY f.at DESC, f.by DESC LIMIT 1 }[0] AS word
WITH i, CASE WHEN word IS NULL THEN CASE i.verdict WHEN 'cause' THEN 'believed' ELSE 'open' END
             ELSE word.verdict END AS state,
     CASE WHEN word IS NULL THEN i ELSE word END AS cause
WHERE state IN ['confirmed', 'believed'] AND cause.component <> ''
RETURN cause.component AS component, count(i) AS incidents,
       sum(CASE state WHEN 'confirmed' THEN 1 ELSE 0 END) AS confirmed,
       collect(DISTINCT cause.kind) AS kinds, max(i.start) AS last
