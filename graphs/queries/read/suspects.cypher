UNWIND $keys AS key
MATCH (:RcaIncident {tenant: $tenant, id: key})-[s:SUSPECTS]->(g)
RETURN key AS incident, g.id AS change, s.probability AS probability, s.sentence AS sentence
