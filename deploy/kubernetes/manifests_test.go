// Package manifests decodes the manifests strictly into the types of Kubernetes and KEDA: `make manifests`. It is a
// module of its own, because those types bring hundreds of modules that no program of the project uses.
package manifests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	strict "sigs.k8s.io/yaml"
)

// kinds are the types that the manifests may have.
var kinds = map[string]func() any{
	"v1/Namespace": func() any { return &core.Namespace{} }, "v1/ConfigMap": func() any { return &core.ConfigMap{} },
	"v1/ServiceAccount": func() any { return &core.ServiceAccount{} }, "v1/Service": func() any { return &core.Service{} },
	"apps/v1/Deployment":                     func() any { return &apps.Deployment{} },
	"policy/v1/PodDisruptionBudget":          func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1/Ingress":           func() any { return &net.Ingress{} },
	"networking.k8s.io/v1/NetworkPolicy":     func() any { return &net.NetworkPolicy{} },
	"keda.sh/v1alpha1/ScaledObject":          func() any { return &keda.ScaledObject{} },
	"keda.sh/v1alpha1/TriggerAuthentication": func() any { return &keda.TriggerAuthentication{} },
}

// decode reads every document of every manifest; an unknown or repeated key fails.
func decode(t *testing.T) []any {
	t.Helper()
	files, err := filepath.Glob("manifests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("manifests: %v, %v", files, err)
	}
	var all []any
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range strings.Split("\n"+string(b), "\n---\n") {
			var head struct {
				APIVersion string `json:"apiVersion"`
				Kind       string `json:"kind"`
			}
			if err := strict.Unmarshal([]byte(text), &head); err != nil {
				t.Fatalf("%s, document %d: %v", file, i, err)
			}
			made, known := kinds[head.APIVersion+"/"+head.Kind]
			if !known {
				t.Errorf("%s, document %d: kind %s/%s is not one of this test", file, i, head.APIVersion, head.Kind)
				continue
			}
			object := made()
			if err := strict.UnmarshalStrict([]byte(text), object); err != nil {
				t.Errorf("%s, document %d: %v", file, i, err)
			}
			all = append(all, object)
		}
	}
	return all
}

// TestManifests checks what decoding cannot: selectors, privileges, probes, time to stop, scaling.
func TestManifests(t *testing.T) {
	deployments, scaled := map[string]*apps.Deployment{}, 0
	for _, o := range decode(t) {
		switch o := o.(type) {
		case *apps.Deployment:
			deployments[o.Name] = o
			checkPod(t, o.Name, o.Spec.Template.Spec)
			checkKeys(t, o.Name, o.Spec.Template.Spec)
			if o.Spec.Template.Labels["app"] != o.Spec.Selector.MatchLabels["app"] || o.Namespace != "cattlecounter" {
				t.Errorf("deployment %s selects %v of %v", o.Name, o.Spec.Selector, o.Spec.Template.Labels)
			}
		case *core.ConfigMap:
			checkSettings(t, o)
		case *keda.ScaledObject:
			scaled++
			m := o.Spec.Triggers[0].Metadata
			if deployments[o.Spec.ScaleTargetRef.Name] == nil || m["queueLengthStrategy"] != "all" ||
				strings.HasSuffix(m["queueName"], "-poison") || *o.Spec.MinReplicaCount != 0 {
				t.Errorf("the scaled object %s: %+v", o.Name, o.Spec)
			}
		}
	}
	if len(deployments) != 3 || scaled != 1 {
		t.Errorf("%d deployments, %d scaled objects", len(deployments), scaled)
	}
	// The drain is 20 minutes; half a minute is for the last writes.
	if g := deployments["worker"].Spec.Template.Spec.TerminationGracePeriodSeconds; *g != 20*60+30 {
		t.Errorf("Kubernetes waits %d s for a worker that drains 20 minutes", *g)
	}
	if deployments["worker"].Spec.Replicas != nil {
		t.Error("the number of workers is set, so that every update would undo what KEDA decided")
	}
}

// secretFiles is the folder of the files that the settings name.
const secretFiles = "/run/secrets/cattlecounter"

// checkKeys checks that the API, and nothing else, has the keys that encrypt secrets of the ledger.
func checkKeys(t *testing.T, name string, p core.PodSpec) {
	t.Helper()
	const folder, file = "/run/secrets/cattlecounter-keys", "/run/secrets/cattlecounter-keys/ledger_keys"
	var named, mounted, secret bool
	for _, c := range p.Containers {
		for _, e := range c.Env {
			named = named || e.Name == "CATTLE_CLOUD_LEDGER_KEY_FILE" && e.Value == file
		}
		for _, m := range c.VolumeMounts {
			mounted = mounted || m.MountPath == folder && m.ReadOnly
		}
	}
	for _, v := range p.Volumes {
		secret = secret || v.Secret != nil && v.Secret.SecretName == "cattlecounter-keys"
	}
	if want := name == "api"; named != want || mounted != want || secret != want {
		t.Errorf("%s: keys of the ledger named %t, mounted %t, from the secret %t; want %t", name, named, mounted, secret, want)
	}
}

// checkSettings compares the settings with the files of the secret, as the comment of settings.yaml names them.
func checkSettings(t *testing.T, c *core.ConfigMap) {
	t.Helper()
	for key, file := range map[string]string{"CATTLE_CLOUD_LEDGER_URL_FILE": "ledger_url", "CATTLE_CLOUD_MQTT_PASSWORD_FILE": "mqtt_password"} {
		if c.Data[key] != secretFiles+"/"+file {
			t.Errorf("%s is %q, want the file %s", key, c.Data[key], file)
		}
	}
}

// checkPod holds a pod to the restricted profile of Kubernetes, and its containers to limits and probes.
func checkPod(t *testing.T, name string, p core.PodSpec) {
	t.Helper()
	if s := p.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || *s.RunAsUser != 10001 ||
		s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || *p.AutomountServiceAccountToken {
		t.Errorf("%s: security context %+v", name, p.SecurityContext)
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		if s == nil || *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || len(s.Capabilities.Drop) != 1 {
			t.Errorf("%s: container %s: %+v", name, c.Name, s)
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: container %s: resources %+v", name, c.Name, c.Resources)
		}
		if c.LivenessProbe == nil || c.ReadinessProbe == nil && name != "worker" {
			t.Errorf("%s: container %s lacks a probe", name, c.Name)
		}
		// What is in the environment is shown by many tools and inherited by every child.
		for _, from := range c.EnvFrom {
			if from.SecretRef != nil {
				t.Errorf("%s: container %s has the secret %s in its environment", name, c.Name, from.SecretRef.Name)
			}
		}
		if !slices.ContainsFunc(c.VolumeMounts, func(m core.VolumeMount) bool { return m.MountPath == secretFiles && m.ReadOnly }) {
			t.Errorf("%s: container %s has no secrets in %s", name, c.Name, secretFiles)
		}
	}
}
