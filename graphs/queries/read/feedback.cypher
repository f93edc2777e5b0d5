UNWIND $keys AS key
MATCH (f:RcaFeedback)-[:ABOUT]->(:RcaIncident {tenant: $tenant, id: key})
RETURN key AS incident, f.by AS by, f.at AS at, f.verdict AS verdict, f.component AS component, f.kind AS kind,
       f.change AS change, f.note AS note
