/** The files that KServe needs for a model in a Triton repository: run by Triton, or by the server of this package. */

/** What the files say. */
export interface KServeModel {
  /** The name of the InferenceService: a label of DNS. */
  readonly name: string;
  /** Where KServe fetches the model repository: `s3://bucket/models`, `pvc://claim/models`, `gs://…`, `https://…`. */
  readonly storageUri: string;
  /** The container image of the server of this package, which the Dockerfile builds. */
  readonly image: string;
  /** The version of this package that the image holds. */
  readonly version: string;
  /** Bytes of memory that a container asks for. */
  readonly memory: number;
}

/** The name of the ServingRuntime: one for all models of a namespace. */
const RUNTIME = 'onnx-groupnorm';

/**
 * Returns the files by their names. The sources are the custom resources of KServe (`serving.kserve.io`), v1beta1
 * InferenceService and v1alpha1 ServingRuntime.
 */
export const kserveFiles = (model: KServeModel): ReadonlyMap<string, string> =>
  new Map([
    ['triton.yaml', tritonService(model)],
    ['runtime.yaml', servingRuntime(model)],
    ['service.yaml', ownService(model)],
    ['Dockerfile', dockerfile(model)],
  ]);

const tritonService = (model: KServeModel): string =>
  inferenceService(
    model,
    'The model on the Triton runtime that KServe brings. Without protocolVersion: v2 KServe finds no runtime for onnx.',
    { name: `${model.name}-triton`, runtime: 'kserve-tritonserver' },
  );

const ownService = (model: KServeModel): string =>
  inferenceService(model, 'The model on the server of onnx-groupnorm: apply runtime.yaml first.', {
    name: model.name,
    runtime: RUNTIME,
    annotations: `
  annotations:
    serving.kserve.io/enable-prometheus-scraping: "true"`,
  });

interface Service {
  readonly name: string;
  readonly runtime: string;
  readonly annotations?: string;
}

const inferenceService = (
  { storageUri, memory }: KServeModel,
  comment: string,
  { name, runtime, annotations = '' }: Service,
): string => `# ${comment}
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: ${quote(name)}${annotations}
spec:
  predictor:
    model:
      modelFormat:
        name: onnx
      protocolVersion: v2
      runtime: ${runtime}
      storageUri: ${quote(storageUri)}
${resources(memory, 6)}
`;

const servingRuntime = ({
  image,
}: KServeModel): string => `# The server of onnx-groupnorm as a runtime of KServe. It listens while it loads the models: live at once, ready when all are
# loaded. Kubernetes calls it ready by /v2/health/ready, and the startup probe gives large models ten minutes.
apiVersion: serving.kserve.io/v1alpha1
kind: ServingRuntime
metadata:
  name: ${RUNTIME}
spec:
  annotations:
    prometheus.kserve.io/port: "8080"
    prometheus.kserve.io/path: /metrics
  supportedModelFormats:
    - name: onnx
      version: "1"
      autoSelect: false
  protocolVersions:
    - v2
  containers:
    - name: kserve-container
      image: ${quote(image)}
      args:
        - /mnt/models
        - --host=0.0.0.0
        - --port=8080
        - --model-name={{.Name}}
        - --json-logs
      ports:
        - containerPort: 8080
          protocol: TCP
      startupProbe:
        httpGet:
          path: /v2/health/ready
          port: 8080
        periodSeconds: 5
        failureThreshold: 120
      readinessProbe:
        httpGet:
          path: /v2/health/ready
          port: 8080
        periodSeconds: 5
      livenessProbe:
        httpGet:
          path: /v2/health/live
          port: 8080
        periodSeconds: 10
        timeoutSeconds: 5
      securityContext:
        allowPrivilegeEscalation: false
        privileged: false
        readOnlyRootFilesystem: true
        runAsNonRoot: true
        runAsUser: 1000
        capabilities:
          drop:
            - ALL
      volumeMounts:
        - name: tmp
          mountPath: /tmp
  volumes:
    - name: tmp
      emptyDir: {}
`;

const dockerfile = ({
  image,
  version,
}: KServeModel): string => `# The server of onnx-groupnorm. Build and try it:
#   docker build -t ${image} .
#   docker run --rm -p 8080:8080 -v "$PWD/models:/mnt/models:ro" ${image}
FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# The package carries its kernel: no compiler, and no CUDA libraries of onnxruntime-node.
RUN npm init --yes > /dev/null \\
  && ONNXRUNTIME_NODE_INSTALL=skip npm install --omit=dev onnx-groupnorm@${version} \\
  && npm cache clean --force
# The user node, by number: Kubernetes checks that a container does not run as root.
USER 1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=600s \\
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/v2/health/live').then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "node_modules/onnx-groupnorm/dist/lib/cli/main.js", "serve"]
CMD ["/mnt/models", "--host", "0.0.0.0", "--port", "8080", "--json-logs"]
`;

const resources = (memory: number, indent: number): string => {
  const size = quote(`${Math.ceil(memory / 2 ** 20)}Mi`);
  return [
    'resources:',
    '  requests:',
    '    cpu: "1"',
    `    memory: ${size}`,
    '  limits:',
    `    memory: ${size}`,
  ]
    .map((line) => ' '.repeat(indent) + line)
    .join('\n');
};

/** YAML's double quotes take JSON's escapes. */
const quote = (text: string): string => JSON.stringify(text);
