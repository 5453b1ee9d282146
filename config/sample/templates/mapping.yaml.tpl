# New mapping for @@SUBACCOUNT@@, asked for in @@TICKET@@
  - virtualHost: @@NAME@@.@@VIRTUAL_DOMAIN@@
    virtualPort: @@VIRTUAL_PORT|443@@
    localHost: @@LOCAL_HOST@@.corp.example
    localPort: @@LOCAL_PORT@@
    protocol: @@PROTOCOL|HTTPS@@
    authentication: @@AUTH|principal-propagation@@
    description: @@DESCRIPTION@@
    owner: @@OWNER@@
    ticket: @@TICKET@@
@@IF RESOURCES@@
    resources:
@@EACH RESOURCES AS R@@
      - id: @@R.ID@@
        enabled: true
        exactMatch: @@R.EXACT|false@@
@@END@@
@@END@@
