UNWIND $keys AS key
MATCH (r:RcaResolution)-[:RESOLVED]->(:RcaIncident {tenant: $tenant, id: key})
RETURN key AS incident, r.by AS by, r.at AS at, r.text AS text
