// Whose changes broke something. $since, $until (of the changes)
MATCH (g:RcaChange {tenant: $tenant})
WHERE g.time >= $since AND g.time < $until
OPTIONAL MATCH (g)<-[:SUSPECTS]-(i:RcaIncident)
WITH g, i, COLLECT { MATCH (f:RcaFeedback)-[:ABOUT]->(i) WHERE f.verdict <> 'note'
               RETURN f ORDER BY f.at DESC, f.by DESC LIMIT 1 }[0] AS word
WITH g, CASE WHEN i IS NULL THEN 'open'
             WHEN word IS NULL THEN CASE i.verdict WHEN 'cause' THEN 'believed' ELSE 'open' END
             ELSE word.verdict END AS state,
     CASE WHEN word IS NULL THEN i ELSE word END AS cause
WITH g, max(CASE WHEN state = 'confirmed' AND cause.change = g.id THEN 1 ELSE 0 END) AS confirmed,
     max(CASE WHEN state = 'believed' AND cause.change = g.id THEN 1 ELSE 0 END) AS believed
RETURN g.team AS team, count(g) AS changes, sum(confirmed) AS confirmed,
       sum(CASE confirmed WHEN 1 THEN 0 ELSE believed END) AS believed
