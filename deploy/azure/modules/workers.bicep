// Workers that follow the queue in Container Apps, or one container group that always runs; and the broker.
param location string
param name string
param tags object
param workersOn string
param maxWorkers int
param gpuProfile string
param image string
param brokerImage string
param registryHost string
param identityId string
param identityClient string
param account string
param subnet string
param workspaceId string
param workspaceName string
param settings array
param passwordUri string

var cpu = { name: 'Consumption', workloadProfileType: 'Consumption' }
var gpu = { name: 'gpu', workloadProfileType: gpuProfile }
var variables = concat(settings, [
  { name: 'AZURE_CLIENT_ID', value: identityClient }
  { name: 'CATTLE_CLOUD_DATA', value: '/data' }
  { name: 'CATTLE_CLOUD_WORKER_DRAIN', value: '8m' }
])

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: workspaceName
}

resource surroundings 'Microsoft.App/managedEnvironments@2025-01-01' = {
  name: '${name}-apps'
  location: location
  tags: tags
  properties: {
    vnetConfiguration: { infrastructureSubnetId: subnet, internal: false }
    workloadProfiles: empty(gpuProfile) ? [cpu] : [cpu, gpu]
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: { customerId: workspaceId, sharedKey: workspace.listKeys().primarySharedKey }
    }
  }
}

resource worker 'Microsoft.App/containerApps@2025-01-01' = if (workersOn == 'containerapps') {
  name: '${name}-worker'
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    environmentId: surroundings.id
    workloadProfileName: empty(gpuProfile) ? 'Consumption' : 'gpu'
    configuration: {
      activeRevisionsMode: 'Single'
      registries: [{ server: registryHost, identity: identityId }]
      secrets: [{ name: 'mqtt-password', keyVaultUrl: passwordUri, identity: identityId }]
    }
    template: {
      // Longer than worker.drain above; 600 is the most that the service allows.
      terminationGracePeriodSeconds: 600
      containers: [
        {
          name: 'worker'
          image: image
          resources: { cpu: empty(gpuProfile) ? json('2') : json('8'), memory: empty(gpuProfile) ? '4Gi' : '56Gi' }
          env: concat(variables, [{ name: 'CATTLE_CLOUD_MQTT_PASSWORD', secretRef: 'mqtt-password' }])
          volumeMounts: [{ volumeName: 'data', mountPath: '/data' }]
        }
      ]
      volumes: [{ name: 'data', storageType: 'EmptyDir' }]
      scale: {
        minReplicas: 0
        maxReplicas: maxWorkers
        cooldownPeriod: 600
        pollingInterval: 30
        rules: [
          {
            name: 'jobs'
            custom: {
              type: 'azure-queue'
              identity: identityId
              metadata: { accountName: account, queueName: 'cattlecounter-jobs', queueLength: '1', queueLengthStrategy: 'all' }
            }
          }
        ]
      }
    }
  }
}

resource instances 'Microsoft.ContainerInstance/containerGroups@2023-05-01' = if (workersOn == 'instances') {
  name: '${name}-worker'
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    osType: 'Linux'
    restartPolicy: 'Always'
    imageRegistryCredentials: [{ server: registryHost, identity: identityId }]
    containers: [
      {
        name: 'worker'
        properties: {
          image: image
          resources: { requests: { cpu: 2, memoryInGB: 8 } }
          environmentVariables: variables
        }
      }
    ]
  }
}

resource broker 'Microsoft.App/containerApps@2025-01-01' = if (!empty(brokerImage)) {
  name: '${name}-broker'
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    environmentId: surroundings.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: { external: false, transport: 'tcp', targetPort: 1883, exposedPort: 1883 }
      registries: [{ server: registryHost, identity: identityId }]
      secrets: [{ name: 'mqtt-password', keyVaultUrl: passwordUri, identity: identityId }]
    }
    template: {
      containers: [
        {
          name: 'broker'
          image: brokerImage
          args: ['broker']
          resources: { cpu: json('0.5'), memory: '1Gi' }
          env: concat(variables, [
            { name: 'CATTLE_CLOUD_MQTT_EMBEDDED_LISTEN', value: '0.0.0.0:1883' }
            { name: 'CATTLE_CLOUD_MQTT_INSECURE', value: 'true' }
            { name: 'CATTLE_CLOUD_HTTP_INSECURE', value: 'true' }
            { name: 'CATTLE_CLOUD_MQTT_PASSWORD', secretRef: 'mqtt-password' }
          ])
        }
      ]
      scale: { minReplicas: 1, maxReplicas: 1 }
    }
  }
}

output name string = '${name}-worker'
