// What changes broke. $change ('': any; else its id or name), $since, $until
MATCH (g:RcaChange {tenant: $tenant})<-[s:SUSPECTS]-(i:RcaIncident)
WHERE ($change = '' OR g.id = $change OR g.name = $change) AND i.start >= $since AND i.start < $until
WITH g, s, i, COLLECT { MATCH (f:RcaFeedback)-[:ABOUT]->(i) WHERE f.verdict <> 'note'
               RETURN f ORDER BY f.at DESC, f.by DESC LIMIT 1 }[0] AS word
WITH g, s, i, CASE WHEN word IS NULL THEN CASE i.verdict WHEN 'cause' THEN 'believed' ELSE 'open' END
                   ELSE word.verdict END AS state,
     CASE WHEN word IS NULL THEN i ELSE word END AS cause
RETURN g.id AS change, g.name AS name, g.component AS component, g.kind AS kind, g.team AS team, g.time AS time,
       i.id AS incident, i.title AS title, i.start AS start, s.probability AS probability,
       CASE WHEN state IN ['confirmed', 'believed'] AND cause.change = g.id THEN state
            WHEN state IN ['confirmed', 'wrong'] THEN 'cleared' ELSE 'suspected' END AS state,
       COUNT { (i)-[:TOUCHED {role: 'blast'}]->() } AS reached
