# Gatehouse in production. Node runs the TypeScript as it is, so there is nothing to build: one stage installs the packages, the other
# holds only what runs.
#
#   docker build -t gatehouse .
#
# It refuses to start without ISSUER (https), DATABASE_URL and ENCRYPTION_KEY_FILE; docker-compose.yml shows them in place.

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

FROM node:24-slim
# Node calls stripping the types of the browser modules experimental; the warning would be the first line of every log.
ENV NODE_ENV=production DATA_DIR=/data NODE_OPTIONS=--disable-warning=ExperimentalWarning
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY . .
# The code belongs to root, so the server cannot change it. /data is for a single node that keeps an embedded database on purpose.
RUN install -d -o node -g node -m 700 /data
VOLUME /data
USER node
EXPOSE 3000
# A container that serves https by itself (TLS_CERT_FILE) needs a check of its own.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "--eval", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "server/main.ts"]
