UNWIND $keys AS key
MATCH (:RcaIncident {tenant: $tenant, id: key})-[:HAS_EVENT]->(e)
RETURN key AS incident, e.number AS number, e.id AS id, e.component AS component, e.kind AS kind, e.name AS name,
       e.start AS start, e.end AS end, e.severity AS severity, e.direction AS direction, e.evidence AS evidence,
       e.attributes AS attributes
