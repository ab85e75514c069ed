//! Carriers of operators' questions: gRPC, and the plain one of a simulation.

use super::{AdminApi, AdminError, Change, ChunkQuery, ExplainTarget, FileTarget, RemovalTarget};
use crate::generated::admin_server::Admin;
use codec::proto;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The gRPC service.
pub(crate) struct AdminService {
    /// Who answers.
    pub(crate) api: Arc<dyn AdminApi>,
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn status(&self, _: Request<proto::StatusQuery>) -> Result<Response<proto::StatusAnswer>, Status> {
        Ok(Response::new(status(&*self.api).await))
    }

    async fn file_info(
        &self,
        request: Request<proto::FileInfoQuery>,
    ) -> Result<Response<proto::FileInfoAnswer>, Status> {
        Ok(Response::new(file_info(&*self.api, request.into_inner()).await))
    }

    async fn classes(
        &self,
        _: Request<proto::ClassesQuery>,
    ) -> Result<Response<proto::ClassesAnswer>, Status> {
        Ok(Response::new(classes(&*self.api).await))
    }

    async fn tasks(&self, _: Request<proto::TasksQuery>) -> Result<Response<proto::TasksAnswer>, Status> {
        Ok(Response::new(tasks(&*self.api).await))
    }

    async fn removal(
        &self,
        request: Request<proto::RemovalQuery>,
    ) -> Result<Response<proto::RemovalAnswer>, Status> {
        Ok(Response::new(removal(&*self.api, request.into_inner()).await))
    }

    async fn trash(
        &self,
        request: Request<proto::TrashQuery>,
    ) -> Result<Response<proto::TrashAnswer>, Status> {
        Ok(Response::new(trash(&*self.api, request.into_inner()).await))
    }

    async fn chunks(
        &self,
        request: Request<proto::ChunksQuery>,
    ) -> Result<Response<proto::ChunksAnswer>, Status> {
        Ok(Response::new(chunks(&*self.api, request.into_inner()).await))
    }

    async fn explain(
        &self,
        request: Request<proto::ExplainQuery>,
    ) -> Result<Response<proto::ExplainAnswer>, Status> {
        Ok(Response::new(explain(&*self.api, request.into_inner()).await))
    }

    async fn plan_edit(
        &self,
        request: Request<proto::ChangeQuery>,
    ) -> Result<Response<proto::EditPlanAnswer>, Status> {
        Ok(Response::new(plan_edit(&*self.api, request.into_inner()).await))
    }

    async fn change(
        &self,
        request: Request<proto::ChangeQuery>,
    ) -> Result<Response<proto::ChangeAnswer>, Status> {
        Ok(Response::new(change(&*self.api, request.into_inner()).await))
    }
}

/// The number of a refusal; what is not one counts as an I/O error of the master.
fn code(error: AdminError) -> u32 {
    match error {
        AdminError::Refused(status) => status.code().into(),
        AdminError::TimedOut { .. } => types::Status::TimedOut.code().into(),
        AdminError::NotDone(_) => types::Status::Invalid.code().into(),
        AdminError::Unreachable { .. } | AdminError::BadAnswer { .. } => types::Status::Io.code().into(),
    }
}

async fn status(api: &dyn AdminApi) -> proto::StatusAnswer {
    match api.status().await {
        Ok(cluster) => proto::StatusAnswer { status: 0, cluster: Some((&cluster).into()) },
        Err(error) => proto::StatusAnswer { status: code(error), cluster: None },
    }
}

async fn file_info(api: &dyn AdminApi, query: proto::FileInfoQuery) -> proto::FileInfoAnswer {
    let answer = match FileTarget::try_from(query) {
        Ok(target) => api.file_info(target).await,
        Err(_) => Err(AdminError::Refused(types::Status::BadMessage)),
    };
    match answer {
        Ok(info) => proto::FileInfoAnswer { status: 0, info: Some((&info).into()) },
        Err(error) => proto::FileInfoAnswer { status: code(error), info: None },
    }
}

async fn classes(api: &dyn AdminApi) -> proto::ClassesAnswer {
    match api.classes().await {
        Ok(classes) => proto::ClassesAnswer { status: 0, classes: classes.iter().map(Into::into).collect() },
        Err(error) => proto::ClassesAnswer { status: code(error), classes: Vec::new() },
    }
}

async fn tasks(api: &dyn AdminApi) -> proto::TasksAnswer {
    match api.tasks().await {
        Ok(tasks) => proto::TasksAnswer { status: 0, tasks: tasks.iter().map(Into::into).collect() },
        Err(error) => proto::TasksAnswer { status: code(error), tasks: Vec::new() },
    }
}

async fn removal(api: &dyn AdminApi, query: proto::RemovalQuery) -> proto::RemovalAnswer {
    let answer = match RemovalTarget::try_from(query) {
        Ok(target) => api.removal(target).await,
        Err(_) => Err(AdminError::Refused(types::Status::BadMessage)),
    };
    match answer {
        Ok(removal) => proto::RemovalAnswer { status: 0, refusal: None, removal: Some((&removal).into()) },
        Err(error) => {
            let refusal = if let AdminError::NotDone(refusal) = &error { Some(refusal.into()) } else { None };
            proto::RemovalAnswer { status: code(error), refusal, removal: None }
        }
    }
}

async fn trash(api: &dyn AdminApi, query: proto::TrashQuery) -> proto::TrashAnswer {
    match api.trash(query.into()).await {
        Ok(page) => proto::TrashAnswer { status: 0, page: Some((&page).into()) },
        Err(error) => proto::TrashAnswer { status: code(error), page: None },
    }
}

async fn chunks(api: &dyn AdminApi, query: proto::ChunksQuery) -> proto::ChunksAnswer {
    let answer = match ChunkQuery::try_from(query) {
        Ok(query) => api.chunks(query).await,
        Err(_) => Err(AdminError::Refused(types::Status::BadMessage)),
    };
    match answer {
        Ok(page) => proto::ChunksAnswer { status: 0, page: Some((&page).into()) },
        Err(error) => proto::ChunksAnswer { status: code(error), page: None },
    }
}

async fn explain(api: &dyn AdminApi, query: proto::ExplainQuery) -> proto::ExplainAnswer {
    let answer = match ExplainTarget::try_from(query) {
        Ok(target) => api.explain(target).await,
        Err(_) => Err(AdminError::Refused(types::Status::BadMessage)),
    };
    match answer {
        Ok(explanation) => proto::ExplainAnswer { status: 0, explanation: Some((&explanation).into()) },
        Err(error) => proto::ExplainAnswer { status: code(error), explanation: None },
    }
}

async fn plan_edit(api: &dyn AdminApi, query: proto::ChangeQuery) -> proto::EditPlanAnswer {
    let answer = match Change::try_from(query) {
        Ok(change) => api.plan_edit(change).await,
        Err(_) => Err(AdminError::Refused(types::Status::BadMessage)),
    };
    match answer {
        Ok(plan) => proto::EditPlanAnswer { status: 0, refusal: None, plan: Some((&plan).into()) },
        Err(error) => {
            let refusal = if let AdminError::NotDone(refusal) = &error { Some(refusal.into()) } else { None };
            proto::EditPlanAnswer { status: code(error), refusal, plan: None }
        }
    }
}

async fn change(api: &dyn AdminApi, query: proto::ChangeQuery) -> proto::ChangeAnswer {
    let answer = match Change::try_from(query) {
        Ok(change) => api.change(change).await,
        Err(_) => Err(AdminError::Refused(types::Status::BadMessage)),
    };
    match answer {
        Ok(changed) => proto::ChangeAnswer { status: 0, refusal: None, changed: Some((&changed).into()) },
        Err(error) => {
            let refusal = if let AdminError::NotDone(refusal) = &error { Some(refusal.into()) } else { None };
            proto::ChangeAnswer { status: code(error), refusal, changed: None }
        }
    }
}

/// Questions on a simulated stream: one byte says which, then the query; answers in the same order.
pub(crate) mod plain {
    use super::{AdminApi, proto};
    use crate::admin::{ANSWER_BYTES_MAX, QUESTION_BYTES_MAX};
    use crate::carrier;
    use env::SimulatedStream;
    use prost::Message;
    use std::io;
    use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
    use tokio::sync::Mutex;

    const STATUS: u8 = 1;
    const FILE_INFO: u8 = 2;
    const CLASSES: u8 = 3;
    const TASKS: u8 = 4;
    const CHANGE: u8 = 5;
    const REMOVAL: u8 = 6;
    const TRASH: u8 = 16;
    const EXPLAIN: u8 = 20;
    const PLAN_EDIT: u8 = 21;
    const CHUNKS: u8 = 22;

    /// Asks one question at a time.
    pub(crate) struct Client(Mutex<Connection>);

    struct Connection {
        stream: Box<dyn SimulatedStream>,
        greeted: bool,
        /// A question was sent and its answer not read to the end; nothing more can be asked.
        torn: bool,
    }

    impl Client {
        /// On a fresh stream.
        pub(crate) fn new(stream: Box<dyn SimulatedStream>) -> Self {
            Self(Mutex::new(Connection { stream, greeted: false, torn: false }))
        }

        /// Asks for the status.
        pub(crate) async fn status(&self) -> io::Result<proto::StatusAnswer> {
            self.ask(vec![STATUS]).await
        }

        /// Asks about a file.
        pub(crate) async fn file_info(
            &self,
            query: proto::FileInfoQuery,
        ) -> io::Result<proto::FileInfoAnswer> {
            let mut question = vec![FILE_INFO];
            question.extend_from_slice(&query.encode_to_vec());
            self.ask(question).await
        }

        /// Asks for all classes.
        pub(crate) async fn classes(&self) -> io::Result<proto::ClassesAnswer> {
            self.ask(vec![CLASSES]).await
        }

        /// Asks for all tasks.
        pub(crate) async fn tasks(&self) -> io::Result<proto::TasksAnswer> {
            self.ask(vec![TASKS]).await
        }

        /// Wants something changed.
        pub(crate) async fn change(&self, query: proto::ChangeQuery) -> io::Result<proto::ChangeAnswer> {
            let mut question = vec![CHANGE];
            question.extend_from_slice(&query.encode_to_vec());
            self.ask(question).await
        }

        /// Asks what keeps a disk or a server.
        pub(crate) async fn removal(&self, query: proto::RemovalQuery) -> io::Result<proto::RemovalAnswer> {
            let mut question = vec![REMOVAL];
            question.extend_from_slice(&query.encode_to_vec());
            self.ask(question).await
        }

        /// Asks for a part of the trash.
        pub(crate) async fn trash(&self, query: proto::TrashQuery) -> io::Result<proto::TrashAnswer> {
            let mut question = vec![TRASH];
            question.extend_from_slice(&query.encode_to_vec());
            self.ask(question).await
        }

        /// Asks for a part of all chunks.
        pub(crate) async fn chunks(&self, query: proto::ChunksQuery) -> io::Result<proto::ChunksAnswer> {
            let mut question = vec![CHUNKS];
            question.extend_from_slice(&query.encode_to_vec());
            self.ask(question).await
        }

        /// Asks why chunks are where they are.
        pub(crate) async fn explain(&self, query: proto::ExplainQuery) -> io::Result<proto::ExplainAnswer> {
            let mut question = vec![EXPLAIN];
            question.extend_from_slice(&query.encode_to_vec());
            self.ask(question).await
        }

        /// Asks what a change would take.
        pub(crate) async fn plan_edit(&self, query: proto::ChangeQuery) -> io::Result<proto::EditPlanAnswer> {
            let mut question = vec![PLAN_EDIT];
            question.extend_from_slice(&query.encode_to_vec());
            self.ask(question).await
        }

        async fn ask<A: Message + Default>(&self, question: Vec<u8>) -> io::Result<A> {
            let mut connection = self.0.lock().await;
            if std::mem::replace(&mut connection.torn, true) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if !std::mem::replace(&mut connection.greeted, true) {
                connection.stream.write_all(&carrier::MAGIC).await?;
                connection.stream.write_all(&[carrier::ADMIN]).await?;
            }
            carrier::send(&mut connection.stream, &question).await?;
            let answer = carrier::receive(&mut connection.stream, ANSWER_BYTES_MAX).await?;
            connection.torn = false;
            let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
            A::decode(answer.as_slice()).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
        }
    }

    /// Answers until the stream ends.
    pub(crate) async fn serve(
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        api: &dyn AdminApi,
    ) -> io::Result<()> {
        while let Some(question) = carrier::receive(&mut stream, QUESTION_BYTES_MAX).await? {
            let answer = match question.split_first() {
                Some((&STATUS, _)) => super::status(api).await.encode_to_vec(),
                Some((&FILE_INFO, query)) => match proto::FileInfoQuery::decode(query) {
                    Ok(query) => super::file_info(api, query).await.encode_to_vec(),
                    Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                },
                Some((&CLASSES, _)) => super::classes(api).await.encode_to_vec(),
                Some((&TASKS, _)) => super::tasks(api).await.encode_to_vec(),
                Some((&CHANGE, query)) => match proto::ChangeQuery::decode(query) {
                    Ok(query) => super::change(api, query).await.encode_to_vec(),
                    Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                },
                Some((&REMOVAL, query)) => match proto::RemovalQuery::decode(query) {
                    Ok(query) => super::removal(api, query).await.encode_to_vec(),
                    Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                },
                Some((&TRASH, query)) => match proto::TrashQuery::decode(query) {
                    Ok(query) => super::trash(api, query).await.encode_to_vec(),
                    Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                },
                Some((&CHUNKS, query)) => match proto::ChunksQuery::decode(query) {
                    Ok(query) => super::chunks(api, query).await.encode_to_vec(),
                    Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                },
                Some((&EXPLAIN, query)) => match proto::ExplainQuery::decode(query) {
                    Ok(query) => super::explain(api, query).await.encode_to_vec(),
                    Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                },
                Some((&PLAN_EDIT, query)) => match proto::ChangeQuery::decode(query) {
                    Ok(query) => super::plan_edit(api, query).await.encode_to_vec(),
                    Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                },
                _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "unknown question")),
            };
            carrier::send(&mut stream, &answer).await?;
        }
        Ok(())
    }
}
