UNWIND $keys AS key
MATCH (:RcaIncident {tenant: $tenant, id: key})-[r:RANKED]->(c)
RETURN key AS incident, r.rank AS rank, c.name AS component, r.kind AS kind, r.score AS score,
       r.confidence AS confidence, r.sentence AS sentence
