// Components that other rows name. $names
UNWIND $names AS name
MERGE (:RcaComponent {tenant: $tenant, name: name})
