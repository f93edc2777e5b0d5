UNWIND $keys AS key
MATCH (:RcaIncident {tenant: $tenant, id: key})-[t:TOUCHED]->(c)
RETURN key AS incident, c.name AS component, t.role AS role
