// Logs, traces, and a budget that tells before money is gone.
param location string
param name string
param tags object
param budget int
param budgetContacts array
param budgetStart string

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
    workspaceCapping: { dailyQuotaGb: 5 }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: { Application_Type: 'web', WorkspaceResourceId: workspace.id, DisableLocalAuth: false }
}

resource spending 'Microsoft.Consumption/budgets@2023-11-01' = if (!empty(budgetContacts)) {
  name: '${name}-budget'
  properties: {
    category: 'Cost'
    amount: budget
    timeGrain: 'Monthly'
    timePeriod: { startDate: budgetStart }
    notifications: {
      most: { enabled: true, operator: 'GreaterThan', threshold: 80, contactEmails: budgetContacts, thresholdType: 'Forecasted' }
      all: { enabled: true, operator: 'GreaterThan', threshold: 100, contactEmails: budgetContacts, thresholdType: 'Actual' }
    }
  }
}

output workspace string = workspace.id
output workspaceName string = workspace.name
output workspaceCustomer string = workspace.properties.customerId
output connectionString string = insights.properties.ConnectionString
