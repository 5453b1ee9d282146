Subject: [connector {{severity}}] rule {{nr}}: {{rule}}

{{#if subaccount}}Subaccount: {{region}}/{{subaccount}}
{{/if}}Since:      {{since}}
Value:      {{value}} (limit {{limit}})

What to do: on-call handbook, chapter "connector", section {{nr}}.
